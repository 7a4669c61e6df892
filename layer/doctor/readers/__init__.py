"""Read what is to be diagnosed, within limits: directories, images, zips, Dockerfiles."""
