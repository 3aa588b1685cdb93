"""What data say: deconvolved paths, order-book streams, event fits, normalisations, moments of the default market."""
