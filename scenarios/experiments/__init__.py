"""Experiments on the model itself: laws, convergence, orders of magnitude, speed."""
