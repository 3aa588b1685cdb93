"""Stages 3 and 6: who owns what, who owes margin, and the exact ledger of both.

- `requirement.py`: margin of one position; `pre_trade.py`: new orders against initial margin
- `assessment.py`: every account against its maintenance margin; `margin_calls.py`: the rule of calls and grace
- `ledger.py`: fills, fees and transfers in integer atoms; `top_ups.py`: money that arrives later
"""
