"""Opening weight files without running what a hostile one may hold, and running networks within the memory there is.

One module per format, each reading that format and nothing else: the caller says what a file is, nothing is guessed.
"""
