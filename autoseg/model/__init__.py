"""A trained network as others meet it: how it computes, how it is stored, how it is applied to slices."""
