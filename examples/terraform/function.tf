# The function and its layers, from what `make package` wrote. Handler, runtime, environment and the order of the layers
# are in package.json: nothing of them is typed here.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws     = { source = "hashicorp/aws", version = "~> 6.0" }
    archive = { source = "hashicorp/archive", version = "~> 2.4" }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  package  = jsondecode(file("${var.build}/package.json"))
  function = local.package.function
  zips     = { for row in local.package.artefacts : row.path => row if endswith(row.path, ".zip") }
  is_image = length(local.zips) == 0
  bundle   = substr(local.package.manifest_sha256, 0, 12)
  memory   = coalesce(var.memory, try(local.package.memory, 3008)) # an older package names none

  partition = data.aws_partition.current.partition
  suffix    = data.aws_partition.current.dns_suffix # of services in one region; amazonaws.com.cn in China
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id
  assumed_by_lambda = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Action = "sts:AssumeRole", Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

# Lambda takes a zip of more than 50 MB through S3 alone.
resource "aws_s3_bucket" "package" {
  count         = local.is_image ? 0 : 1
  bucket_prefix = "${var.name}-package-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "package" {
  count                   = local.is_image ? 0 : 1
  bucket                  = aws_s3_bucket.package[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "package" {
  for_each = local.zips
  bucket   = aws_s3_bucket.package[0].id
  key      = "${each.value.sha256}.zip"
  source   = "${var.build}/${each.key}"
}

resource "aws_lambda_layer_version" "package" {
  for_each                 = toset(local.function.layers)
  layer_name               = "${var.name}-${trimsuffix(each.key, ".zip")}"
  description              = "OpenCLIP ${local.zips[each.key].role}, bundle ${local.bundle}"
  s3_bucket                = aws_s3_object.package[each.key].bucket
  s3_key                   = aws_s3_object.package[each.key].key
  compatible_architectures = [local.function.architecture]
  compatible_runtimes      = [local.function.runtime]
}

resource "aws_iam_role" "function" {
  name_prefix        = "${var.name}-function-"
  assume_role_policy = local.assumed_by_lambda
}

resource "aws_iam_role_policy" "function" {
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Effect   = "Allow"
        Resource = "${aws_cloudwatch_log_group.this["function"].arn}:*"
      },
      {
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Effect   = "Allow"
        Resource = "*"
      },
    ]
  })
}

resource "aws_lambda_function" "openclip" {
  function_name = var.name
  description   = "OpenCLIP embeddings, bundle ${local.bundle}"
  role          = aws_iam_role.function.arn
  architectures = [local.function.architecture]
  memory_size   = local.memory
  timeout       = 29 # the gateway waits no longer
  publish       = true

  package_type = local.is_image ? "Image" : "Zip"
  image_uri    = local.is_image ? var.image_uri : null
  handler      = local.is_image ? null : local.function.handler
  runtime      = local.is_image ? null : local.function.runtime
  s3_bucket    = local.is_image ? null : aws_s3_object.package["function.zip"].bucket
  s3_key       = local.is_image ? null : aws_s3_object.package["function.zip"].key
  layers       = [for path in local.function.layers : aws_lambda_layer_version.package[path].arn]

  environment {
    variables = local.function.environment
  }
  ephemeral_storage {
    size = 512
  }
  logging_config {
    log_format            = "JSON"
    application_log_level = "INFO"
    log_group             = aws_cloudwatch_log_group.this["function"].name
  }
  tracing_config {
    mode = "Active"
  }
  dynamic "snap_start" {
    for_each = var.snap_start ? ["PublishedVersions"] : []
    content {
      apply_on = snap_start.value
    }
  }

  lifecycle {
    precondition {
      condition     = !local.is_image || var.image_uri != null
      error_message = "${var.build} holds an image: push it to ECR, and give its address as image_uri."
    }
  }
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.openclip.function_name
  function_version = aws_lambda_function.openclip.version
}

# What ended the process once would end it again, and be paid for three times.
resource "aws_lambda_function_event_invoke_config" "live" {
  function_name                = aws_lambda_function.openclip.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 3600
}
