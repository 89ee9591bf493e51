"""Fails as scripts do: with an exception of its own."""
print("about to fail", flush=True)
raise RuntimeError("the pictures are upside down")
