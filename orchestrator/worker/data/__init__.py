"""Images: written as shards, indexed, read in an exact order."""
