"""The exceptions that bnverify raises on purpose: all of them are misuse, none is a verdict."""


class BnverifyError(Exception):
    """Base of everything that bnverify raises on purpose; the command line turns it into one line and exit code 2."""


class UsageError(BnverifyError):
    """An argument, an option or a configuration that cannot be used; the message says what to change."""


class TargetError(BnverifyError):
    """A target that cannot be imported, recognized or called as batch normalization at all."""


class ConventionError(UsageError):
    """A field of a convention that does not exist, has an impossible value, or is not judged by this version."""


class MissingExtraError(BnverifyError):
    """A package is needed that only an extra of bnverify installs."""


class SymbolicError(BnverifyError):
    """A program or an expression that the symbolic engine does not express; it refuses rather than approximates."""


class UnknownSymbolError(SymbolicError):
    """A symbol occurs whose index set is declared nowhere (it would silently count as a constant)."""


class CheckerError(BnverifyError):
    """The checker contradicts itself, for instance by a bound that is negative or NaN; never the target's fault."""
