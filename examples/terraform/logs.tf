# Log groups and the API key are encrypted with one key of their own.

resource "aws_kms_key" "this" {
  description             = "${var.name}: logs and the API key"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action    = "kms:*"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Resource  = "*"
      },
      {
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${local.suffix}" }
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*"
          }
        }
      },
    ]
  })
}

# API Gateway's permission to write to a group without the prefix takes room in a policy of the account, which has 5,120
# characters in all.
resource "aws_cloudwatch_log_group" "this" {
  for_each          = toset(["function", "authorizer", "access"])
  name              = "${each.key == "access" ? "/aws/vendedlogs" : ""}/${var.name}/${each.key}"
  kms_key_id        = aws_kms_key.this.arn
  retention_in_days = var.log_retention

  lifecycle {
    create_before_destroy = true
  }
}
