"""One job, trained: everything here may touch tensors."""
