"""Pictures of products: nouns in, a matplotlib figure out; one file a picture."""
