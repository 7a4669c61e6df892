variable "build" {
  description = "Where `make package` wrote: package.json and what it names."
  type        = string
  default     = "../../build"

  validation {
    condition     = can(jsondecode(file("${var.build}/package.json")).function)
    error_message = "${var.build}/package.json is missing, or was written before it described its function: run `make package`."
  }
}

variable "name" {
  description = "Of the function, the API and what belongs to them."
  type        = string
  default     = "openclip"
}

variable "image_uri" {
  description = "For `package = \"image\"`: the image in ECR, by its digest, as <repository>@sha256:<digest>."
  type        = string
  default     = null
}

variable "memory" {
  description = "MB. 1,769 buy one vCPU, and a new account may have 3,008. null: what package.json names."
  type        = number
  default     = null
}

variable "snap_start" {
  description = "A snapshot with the model loaded, restored at a cold start."
  type        = bool
  default     = true
}

variable "throttle" {
  description = "Requests per second of all callers together."
  type        = object({ rate = number, burst = number })
  default     = { rate = 50, burst = 100 }
}

variable "routes" {
  description = "What the gateway lets through, with the key. Everything else is a 404 there, and costs no invocation."
  type        = set(string)
  default = [
    "POST /v1/embeddings",
    "POST /v1/classify",
    "POST /v1/similarity",
    "GET /v1/models",
    "GET /v1/models/{proxy+}",
    "GET /health",
  ]
}

variable "log_retention" {
  description = "Days."
  type        = number
  default     = 30
}
