"""How good the configured stages are: they run on rendered clips, and what they say is compared with the truth.

May import `workflow`, `model_zoo` and the tools that are no stage; backends are loaded by name, as the runner does.
"""
