"""What the tables of studies say: effects with intervals, conditions of their signs, sensitivity."""
