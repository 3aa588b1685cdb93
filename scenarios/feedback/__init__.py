"""The strength of feedback: loop gain and impulse responses, critical shocks, tails, stability maps, early warning."""
