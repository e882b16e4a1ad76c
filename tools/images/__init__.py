"""Container images: the catalogue of all of them, and how each is built and packed."""
