"""The zoo's commands: what weights there are, fetching, adding and checking them.

May import the core of `workflow`; runs on the standard library, so that it works before anything is set up.
"""
