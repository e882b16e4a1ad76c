"""What nodes fetch: the bundle, the platform images, and the manifest that names them."""
