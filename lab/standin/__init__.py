"""Room lab/standin: a server whose outside equals ACP's, because the vendor's image is private.

It exists so that the suites have something real to break: real TLS, real stores, real tokens.
It must not know the suites, and it must not be taken for the product: README.md says what is
copied from published material and what is only guessed.
"""
