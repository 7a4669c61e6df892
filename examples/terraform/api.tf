# The HTTP API. No route is open: without the key a request ends at the gateway or at the authorizer, and the embedding
# function is not called.

# The key itself is none of Terraform's state: put it in once, as the output `put_key` says. Until then nobody is let in.
resource "aws_secretsmanager_secret" "key" {
  name_prefix             = "${var.name}-key-"
  description             = "The API key of OpenCLIP's embeddings API: send it as Authorization: Bearer"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = 7
}

data "archive_file" "authorizer" {
  type        = "zip"
  source_file = "${path.module}/../../infra/functions/authorizer/index.py"
  output_path = "${path.module}/authorizer.zip"
}

resource "aws_iam_role" "authorizer" {
  name_prefix        = "${var.name}-authorizer-"
  assume_role_policy = local.assumed_by_lambda
}

resource "aws_iam_role_policy" "authorizer" {
  role = aws_iam_role.authorizer.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Effect   = "Allow"
        Resource = "${aws_cloudwatch_log_group.this["authorizer"].arn}:*"
      },
      {
        Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        Effect   = "Allow"
        Resource = aws_secretsmanager_secret.key.arn
      },
      {
        Action    = "kms:Decrypt"
        Effect    = "Allow"
        Resource  = aws_kms_key.this.arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${local.suffix}" } }
      },
    ]
  })
}

resource "aws_lambda_function" "authorizer" {
  function_name    = "${var.name}-authorizer"
  description      = "Compares the bearer token with the API key"
  role             = aws_iam_role.authorizer.arn
  filename         = data.archive_file.authorizer.output_path
  source_code_hash = data.archive_file.authorizer.output_base64sha256
  handler          = "index.handler"
  runtime          = "python3.13"
  memory_size      = 256
  timeout          = 10

  environment {
    variables = { SECRET_ARN = aws_secretsmanager_secret.key.arn, PREVIOUS_KEY_SECONDS = "3600" }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["authorizer"].name
  }
  depends_on = [aws_iam_role_policy.authorizer]
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "OpenCLIP embeddings"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_authorizer" "key" {
  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "ApiKey"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = aws_lambda_function.authorizer.invoke_arn
  authorizer_payload_format_version = "2.0"
  authorizer_result_ttl_in_seconds  = 0 # a denial would be kept as long as a permission
  enable_simple_responses           = true
  identity_sources                  = ["$request.header.Authorization"]
}

resource "aws_apigatewayv2_integration" "live" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = aws_lambda_alias.live.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 29000
}

resource "aws_apigatewayv2_route" "this" {
  for_each           = var.routes
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.live.id}"
  authorization_type = "CUSTOM"
  authorizer_id      = aws_apigatewayv2_authorizer.key.id
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    detailed_metrics_enabled = false # CloudWatch bills six metrics of each route
    throttling_rate_limit    = var.throttle.rate
    throttling_burst_limit   = var.throttle.burst
  }
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.this["access"].arn
    format = jsonencode({ # no header, no query and no path: a credential could be in each
      time               = "$context.requestTime"
      requestId          = "$context.requestId"
      route              = "$context.routeKey"
      status             = "$context.status"
      sourceIp           = "$context.identity.sourceIp"
      responseLatency    = "$context.responseLatency"
      integrationLatency = "$context.integrationLatency"
      integrationError   = "$context.integrationErrorMessage"
      authorizerError    = "$context.authorizer.error"
      error              = "$context.error.responseType"
    })
  }
}

resource "aws_lambda_permission" "live" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.openclip.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*/*"
}

resource "aws_lambda_permission" "authorizer" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.authorizer.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.key.id}"
}

output "url" {
  value = aws_apigatewayv2_api.this.api_endpoint
}

output "put_key" {
  description = "Puts a new key of 48 letters and digits into the secret."
  value       = "aws secretsmanager put-secret-value --secret-id ${aws_secretsmanager_secret.key.arn} --secret-string \"$(openssl rand -hex 24)\""
}
