"""What the stack consists of: one Azure concern a file, as ComponentResources with typed args."""

import gc

# The SDKs that these import are large and stay: looking for garbage in them at every turn took a
# tenth of a preview.
gc.set_threshold(100_000)
