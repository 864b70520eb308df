"""The probes on any checkpoint: ours, or one of timm's vision transformers."""
