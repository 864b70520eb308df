"""What ``control_plane.py`` runs side by side: one stub scheduler, ours, and named peers."""
