# Builds the image with its labels (OCI image specification, annotations) and tags.
#
#   docker buildx bake --file docker/docker-bake.hcl
#   REVISION=$(git rev-parse HEAD) SOURCE=https://... docker buildx bake --file docker/docker-bake.hcl

# That of package.json.
variable "VERSION" {
  default = "0.1.0"
}

# Its name without the tag, such as registry.example.com/sluice.
variable "REPOSITORY" {
  default = "sluice"
}

# The commit, and the address of the repository; without them the image has no such label.
variable "REVISION" {
  default = ""
}
variable "SOURCE" {
  default = ""
}

# The time of the build; set it for a build that can be repeated.
variable "CREATED" {
  default = timestamp()
}

variable "NODE_IMAGE" {
  default = "node:24-bookworm-slim"
}

group "default" {
  targets = ["sluice"]
}

target "sluice" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  args       = { NODE_IMAGE = NODE_IMAGE }
  tags       = ["${REPOSITORY}:${VERSION}", "${REPOSITORY}:latest"]
  labels = {
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.created"  = CREATED
    "org.opencontainers.image.revision" = REVISION == "" ? null : REVISION
    "org.opencontainers.image.source"   = SOURCE == "" ? null : SOURCE
  }
}
