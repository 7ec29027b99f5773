"""The closed form of a derived program: its normal form written in the names that are at hand, and factored.

The expanded normal form of a gradient prints badly (1/s**3 underflows, products stand three times). Here each central
coordinate, atom and root is solved for from the quantities that have a name already, and put back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed, normal_forms
from bnverify.symbolic.program import NO_INDICES, Program, Statement, real


def closed_form(
    staged: Program, outputs: Sequence[str], *, using: Sequence[str], name: str, new_sums: bool = False
) -> Program:
    """Return a program for ``outputs`` that computes each from the inputs and the statements ``using`` alone.

    An output whose statement needs no other names keeps it; any other is its factored normal form, in which the
    outputs before it may occur. With ``new_sums`` a sum that has no name yet gets one, and a statement of its own over
    centred values: a sum of products of values that are not centred loses what their means have in common.

    Raises:
        SymbolicError: an output needs a sum that has no name, or the result differs from the staged form.
    """
    values, here = normal_forms(staged)
    desk = _Desk(staged, here, values)
    for kept in staged.body:
        if kept.name.name in using:
            desk.add(kept, values[kept.name.name])
    for output in outputs:
        statement = staged.statement(output)
        if not statement.expr.free_symbols <= desk.allowed:
            form = values[output].expand()
            while new_sums and desk.missing(form):
                desk.name_one(form)
            expr = desk.factored(form, output)
            if not expr.free_symbols <= desk.allowed:
                raise SymbolicError(f"{output} needs {expr.free_symbols - desk.allowed}, for which there is no name")
            statement = Statement(statement.name, expr, spread=statement.spread)
        desk.add(statement, values[output])
    result = Program(
        name, staged.inputs, tuple(desk.body), tuple(staged.symbol(o) for o in outputs), desk.axes, staged.sizes
    )
    _require_same(result, staged, outputs)
    return result


def closed_forms(staged: Program, outputs: Sequence[str], *, using: Sequence[str], name: str) -> Program:
    """Return a program for ``outputs``, the closed form of each worked out alone, so that each has coordinates of its own.

    The gradients by x and by beta want dy centred over different indices. What several of them need stands once.

    Raises:
        SymbolicError: as ``closed_form``, or two of them give one name to different things.
    """
    body: dict[Statement, None] = {}
    axes = {s: staged.axes[s] for s in staged.inputs}
    for output in outputs:
        part = staged.needed_for([staged.symbol(output)])
        found = closed_form(
            part, [output], using=[n for n in using if n in map(str, part.axes)], name=name, new_sums=True
        )
        body |= dict.fromkeys(found.body)
        axes |= found.axes
    result = Program(name, staged.inputs, tuple(body), tuple(staged.symbol(o) for o in outputs), axes, staged.sizes)
    _require_same(result, staged, outputs)
    return result


class _Desk:
    """What has a name so far, with its normal form, and the statements that gave it one."""

    def __init__(self, staged: Program, here: Coordinates, values: Mapping[str, sp.Expr]) -> None:
        self.staged, self.here = staged, here
        self.known = {s: values[s.name] for s in staged.inputs}
        self.axes = {s: staged.axes[s] for s in staged.inputs}
        self.body: list[Statement] = []

    @property
    def allowed(self) -> set[sp.Symbol]:
        """The symbols that an expression may be written in."""
        return {*self.known, *self.staged.sizes.values()}

    def add(self, statement: Statement, form: sp.Expr) -> None:
        """Take in a statement whose normal form is ``form``."""
        self.body.append(statement)
        letters = NO_INDICES.union(*(self.axes.get(s, NO_INDICES) for s in statement.expr.free_symbols))
        self.axes[statement.name] = letters - statement.over | statement.spread
        self.known[statement.name] = form

    def written(self, form: sp.Expr) -> sp.Expr:
        """Return a normal form with every coordinate put back as an expression in names, as far as there are any."""
        statements = {s.name: self.known[s.name] for s in self.body}  # before the inputs: 1/s, not a root of its own
        return sp.expand(form.xreplace(_solve({**statements, **self.known}, self.here)))

    def factored(self, form: sp.Expr, output: str) -> sp.Expr:
        """Return a normal form in names, factored; what multiplies a value of the data is collected and named."""
        data = [s for s, letters in self.axes.items() if len(letters) == len(self.staged.sizes)]
        parts = sp.Mul.make_args(sp.factor_terms(self.written(form)))
        return sp.Mul(*(self._collected(p, data, output) if p.is_Add else p for p in parts))

    def _collected(self, total: sp.Expr, data: list[sp.Symbol], output: str) -> sp.Expr:
        terms = sp.collect(total, data, evaluate=False)
        result = sp.Integer(0)
        for value, factor in sorted(terms.items(), key=lambda item: str(item[0])):
            factor = sp.factor_terms(factor)
            if value in data and any(f.is_Add for f in sp.Mul.make_args(factor)):
                factor = self._named(factor, f"{output}_per_{value}")
            result += value * factor
        return result

    def _named(self, expr: sp.Expr, name: str) -> sp.Symbol:
        """Return the name of an expression in names: the one that it has already, or a new one."""
        for statement in self.body:
            if statement.expr == expr and not statement.over:
                return statement.name
        self.add(Statement(real(name), expr), sp.expand(expr.xreplace(self.known)))
        return real(name)

    def missing(self, form: sp.Expr) -> list[sp.Symbol]:
        """Return the coordinates in ``form`` that cannot be written in names yet."""
        return sorted(self.written(form).free_symbols - self.allowed, key=str)

    def name_one(self, form: sp.Expr) -> None:
        """Give a name to the sum, or to the centred value, that ``form`` needs first.

        Raises:
            SymbolicError: what is missing is neither the mean of an input nor a sum.
        """
        coordinate = self.missing(form)[0]
        leaves = {self.here.mean_of[x]: x for x in self.here.mean_of} | {c: x for x, c in self.here.centre_of.items()}
        if coordinate in leaves:
            self._name_mean(leaves[coordinate])
        elif coordinate in self.here.atom_body:
            self._name_sum(coordinate)
        elif coordinate in self.here.contractions.values():
            self._name_contraction(coordinate)
        else:
            raise SymbolicError(f"{coordinate} is no sum of inputs, and no name can be given to it")

    def _name_mean(self, leaf: sp.Symbol) -> None:
        """Name the sum of an input, and the input less its mean."""
        over = self.here.centred[leaf]
        count = sp.Mul(*(self.staged.sizes[letter] for letter in over))
        total = real(f"sum_{leaf}")
        self.add(Statement(total, leaf, over), self.here.mean_of[leaf] * count)
        self._name_centre(leaf)

    def _name_centre(self, leaf: sp.Symbol) -> None:
        difference = self.written(self.here.centre_of[leaf])
        self.add(Statement(real(f"centred_{leaf}"), difference), self.here.centre_of[leaf])

    def _name_contraction(self, name: sp.Symbol) -> None:
        """Name the sum of a product of inputs that the normal form took for a value of its own."""
        over, factors = next(key for key, known in self.here.contractions.items() if known == name)
        words = sorted(map(str, factors))
        self.add(Statement(real("_".join(["sum", *words])), sp.Mul(*factors), over), name)

    def _name_sum(self, atom: sp.Symbol) -> None:
        """Name the sum of a product, each factor of it being a name that is centred already."""
        over, monomial = self.here.atom_body[atom]
        if self.missing(monomial):
            self.name_one(monomial)
            return
        for leaf, centre in sorted(self.here.centre_of.items(), key=str):
            if centre in monomial.free_symbols and self.written(centre).is_Add:
                self._name_centre(leaf)
        inside, outside = sp.Integer(1), sp.Integer(1)
        for factor in sp.Mul.make_args(self.written(monomial)):
            letters = NO_INDICES.union(*(self.axes.get(s, NO_INDICES) for s in factor.free_symbols))
            inside, outside = (inside * factor, outside) if letters & over else (inside, outside * factor)
        words = [s.name.removeprefix("centred_") for s in sorted(inside.free_symbols, key=str)]
        form = atom / outside.xreplace(self.known)
        self.add(Statement(real("_".join(["sum", *words])), inside, over), form)


def _solve(known: Mapping[sp.Symbol, sp.Expr], here: Coordinates) -> dict[sp.Symbol, sp.Expr]:
    """Return each coordinate as an expression in names, products being preferred to sums."""
    coordinates = set(here.axes) - set(known)
    solved: dict[sp.Symbol, sp.Expr] = {}
    for only_products in (True, False):
        progress = True
        while progress:
            progress = False
            for name, form in known.items():
                form = sp.expand(form)
                unknown = [c for c in sorted(coordinates & form.free_symbols, key=str) if c not in solved]
                if form.is_Add == only_products or len(unknown) != 1 or form == name:
                    continue
                solution = _solve_one(form, unknown[0], name)
                if solution is not None:
                    solved[unknown[0]] = sp.powsimp(solution.xreplace(solved))
                    progress = True
    return solved


def _solve_one(form: sp.Expr, unknown: sp.Symbol, name: sp.Symbol) -> sp.Expr | None:
    """Solve ``form = name`` for ``unknown``, which occurs once and to the power 1 or -1, or return None."""
    slope = form.coeff(unknown, 1)
    if slope != 0 and sp.expand(form - slope * unknown).has(unknown) is False:
        return (name - (form - slope * unknown).expand()) / slope
    slope = form.coeff(unknown, -1)
    if slope != 0 and sp.expand(form - slope / unknown) == 0:
        return slope / name
    return None


def _require_same(result: Program, staged: Program, outputs: Sequence[str]) -> None:
    def residuals(here: Coordinates) -> dict[str, sp.Expr]:
        one, other = here.run(result), here.run(staged)
        return {output: here.numerator(one[output] - other[output]) for output in outputs}

    for output, residual in centred_as_needed(residuals).items():
        if residual != 0:
            raise SymbolicError(f"the closed form of {output} differs from its staged form by {residual}")
