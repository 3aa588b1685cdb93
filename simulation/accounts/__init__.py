"""Stages 3 and 6: who owns what, who owes margin, and the exact ledger of both."""
