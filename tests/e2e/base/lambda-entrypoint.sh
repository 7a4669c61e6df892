#!/bin/sh
# As AWS's images start: in Lambda, where there is a runtime API, at once; anywhere else under the emulator.
export _HANDLER="$1"
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap "$1"
fi
exec /var/runtime/bootstrap "$1"
