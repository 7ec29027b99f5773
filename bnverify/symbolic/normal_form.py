"""The normal form of a program: polynomials in central coordinates, atomic sums and roots, for a symbolic count.

Four rules make it (each is named in the steps of a proof):

``linearity``   a sum of a sum is the sum of the sums; a factor without the index comes out; an absent index gives its size
``centring``    a leaf x that occurs alone under a sum is written x = mean_x + c_x with the one rule sum c_x = 0
``root``        s = sqrt(v + eps) is a symbol with s**2 = v + eps, by which eps is eliminated; a further root is an
                algebraic extension, reduced by its square
``contraction`` z = sum_k W h of two leaves is a leaf of its own, and is recognized when it occurs under another sum

What is left under a sum after these rules is an *atom*, a symbol; equal monomials are equal atoms, so reductions merge by
themselves. Nothing of SymPy's Sum, Indexed or simplify is used. Every divisor met on the way is kept as a side condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import sympy as sp

from bnverify.errors import SymbolicError, UnknownSymbolError
from bnverify.symbolic.program import EPS, NO_INDICES, Indices, Program, real

Result = TypeVar("Result")


class Centre(Exception):
    """Raised when a leaf turns out to be summed alone: the evaluation starts again with that leaf centred."""

    def __init__(self, leaf: sp.Symbol, over: Indices) -> None:
        super().__init__(f"{leaf} over {sorted(over)}")
        self.leaf, self.over = leaf, over


@dataclass
class Coordinates:
    """The symbols that normal forms are written in: leaves, means and centres, atoms and roots, with their indices."""

    centred: dict[sp.Symbol, Indices] = field(default_factory=dict)
    keeps_sums: bool = False
    """Whether the sum of a centre stays an atom wherever it is not what defines the mean (see rounding.py)."""
    axes: dict[sp.Symbol, Indices] = field(default_factory=dict)
    sizes: dict[str, sp.Symbol] = field(default_factory=dict)
    leaves: set[sp.Symbol] = field(default_factory=set)
    made: set[sp.Symbol] = field(default_factory=set)
    centre_of: dict[sp.Symbol, sp.Symbol] = field(default_factory=dict)
    mean_of: dict[sp.Symbol, sp.Symbol] = field(default_factory=dict)
    atoms: dict[tuple[Indices, sp.Expr], sp.Symbol] = field(default_factory=dict)
    atom_body: dict[sp.Symbol, tuple[Indices, sp.Expr]] = field(default_factory=dict)
    contractions: dict[tuple[Indices, frozenset[sp.Symbol]], sp.Symbol] = field(default_factory=dict)
    roots: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    extensions: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    eliminated: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    reciprocals: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
    divisors: dict[sp.Expr, None] = field(default_factory=dict)
    axioms: list[str] = field(default_factory=list)
    defining_a_mean: bool = True

    # ----------------------------------------------------------------------------------------------- symbols

    def leaf(self, symbol: sp.Symbol, letters: Indices) -> sp.Expr:
        """Declare an input and return its normal form: itself, or mean plus centre where it is centred."""
        if symbol in self.made:
            raise SymbolicError(
                f"{symbol} is a symbol that the normal form makes itself, but is an input here; rename it"
            )
        return self._leaf(symbol, letters)

    def _leaf(self, symbol: sp.Symbol, letters: Indices) -> sp.Expr:
        self._declare(symbol, letters)
        self.leaves.add(symbol)
        over = self.centred.get(symbol)
        if over is None or not over <= letters:
            return symbol
        mean, centre = real(f"mean_{symbol.name}"), real(f"c_{symbol.name}")
        self._make(mean, letters - over)
        self._make(centre, letters)
        self.centre_of[symbol], self.mean_of[symbol] = centre, mean
        return mean + centre

    def own_leaf(self, symbol: sp.Symbol, letters: Indices) -> sp.Expr:
        """Declare a leaf that a rule of proof makes itself, for any value, and return its normal form."""
        self._make(symbol, letters)
        return self._leaf(symbol, letters)

    def parameter(self, symbol: sp.Symbol) -> sp.Symbol:
        """Declare a scalar that belongs to no index."""
        self._declare(symbol, NO_INDICES)
        return symbol

    def run(self, program: Program, given: Mapping[str, sp.Expr] | None = None) -> dict[str, sp.Expr]:
        """Return the normal form of every symbol of ``program``; ``given`` replaces inputs by other normal forms."""
        given = dict(given or {})
        for letter, count in program.sizes.items():
            if self.sizes.setdefault(letter, count) != count:
                raise SymbolicError(f"the index {letter} has two sizes, {self.sizes[letter]} and {count}")
        env: dict[sp.Symbol, sp.Expr] = {}
        for symbol in program.inputs:
            if symbol.name in given:
                env[symbol] = self.canonical(sp.sympify(given.pop(symbol.name)))
            else:
                env[symbol] = self.leaf(symbol, program.axes[symbol])
        if given:
            raise UnknownSymbolError(f"{program.name} has no input {', '.join(given)}")
        for statement in program.body:
            used = statement.expr.free_symbols - set(self.sizes.values())
            self.defining_a_mean = len(used) == 1 and used <= set(program.inputs)
            value = self.value(statement.expr, env)
            env[statement.name] = self._contraction(statement.name, value, statement.over) or self.reduce(
                value, statement.over
            )
        return {symbol.name: value for symbol, value in env.items()}

    # ------------------------------------------------------------------------------------------- expressions

    def value(self, expr: sp.Expr, env: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
        """Return ``expr`` with every symbol replaced by its normal form, roots taken and ε eliminated.

        What the expression divides by is a side condition even where it cancels, or is multiplied by 0.

        Raises:
            SymbolicError: it divides by 0.
        """
        for symbol in expr.free_symbols:
            if symbol not in env and symbol not in self.sizes.values() and symbol not in self.axes:
                raise UnknownSymbolError(f"{symbol} in {expr} has no index set, but should be declared")
        for power in sorted(expr.atoms(sp.Pow), key=str):
            if power.exp.is_negative:
                divided = self.canonical(power.xreplace(dict(env)))
                if divided.has(sp.zoo, sp.nan):
                    raise SymbolicError(f"{expr} divides by {power.base}, which is 0 here")
        return self.canonical(expr.xreplace(dict(env)))

    def canonical(self, expr: sp.Expr) -> sp.Expr:
        """Return ``expr`` with ε eliminated, every root a symbol and every divisor recorded."""
        expr = sp.sympify(expr).xreplace(self.eliminated)
        work, divided = [], []
        for power in expr.atoms(sp.Pow):
            if not (2 * power.exp).is_Integer or (power.exp.is_negative and isinstance(power.base, sp.Abs)):
                raise SymbolicError(f"{power} is not expressible: only square roots, whole powers and no 1/|a| are")
            if not power.exp.is_Integer or (power.exp.is_negative and not power.base.is_Symbol):
                work.append(power)
            elif power.exp.is_negative:
                divided.append(power.base)
        for base in sorted(divided, key=str):  # a set has no order of its own
            self._divide_by(base)
        if not work:
            return expr
        inner = min(work, key=lambda p: (p.count_ops(), str(p)))
        if inner.exp.is_Integer:
            replaced = self._reciprocal(inner.base) ** (-inner.exp)
        else:
            root = self._root(inner.base)
            replaced = root ** sp.Integer(2 * inner.exp)
            if inner.exp.is_negative:
                self._divide_by(root)
        return self.canonical(expr.xreplace({inner: replaced}))

    def reduce(self, expr: sp.Expr, over: Indices) -> sp.Expr:
        """Return the normal form of the sum of ``expr``, itself a normal form, over the indices ``over``."""
        if not over:
            return expr
        return sp.Add(*(self._reduce_term(term, over) for term in sp.Add.make_args(sp.expand(expr))))

    def axes_of(self, expr: sp.Expr) -> Indices:
        """Return the indices that an expression in these coordinates depends on."""
        found: Indices = NO_INDICES
        for symbol in expr.free_symbols - set(self.sizes.values()):
            if symbol not in self.axes:
                raise UnknownSymbolError(f"{symbol} in {expr} has no index set, but should be declared")
            found |= self.axes[symbol]
        return found

    def numerator(self, expr: sp.Expr) -> sp.Expr:
        """Return the expanded numerator of ``expr``; it is 0 only if ``expr`` is 0 wherever the divisors are not."""
        top, bottom = sp.fraction(sp.together(self.opened(self.canonical(expr))))
        self._divide_by(bottom)
        top = sp.expand(top)
        for root in reversed(self.extensions):
            top = self._reduce_extension(top, root, self.extensions[root])
        return top

    def opened(self, expr: sp.Expr) -> sp.Expr:
        """Return ``expr`` with the opaque reciprocals of sums written as what they are."""
        return expr.xreplace({inverse: 1 / base for base, inverse in self.reciprocals.items()})

    def shown(self, form: sp.Expr) -> str:
        """Return a normal form as text for a person, without opaque reciprocals."""
        opened = self.opened(form)
        return str(form if opened == form else sp.factor(opened))

    # ---------------------------------------------------------------------------------------------- the rules

    def _reduce_term(self, term: sp.Expr, over: Indices) -> sp.Expr:
        outside, inside = sp.Integer(1), []
        for factor in sp.Mul.make_args(term):
            if self.axes_of(factor) & over:
                inside.append(factor)
            else:
                outside *= factor
        self._use("linearity")
        inside, over = self._flatten(inside, over)
        present: Indices = NO_INDICES
        for factor in inside:
            present |= self.axes_of(factor)
        for letter in sorted(over - present):
            if letter not in self.sizes:
                raise UnknownSymbolError(f"the index {letter} has no size, but should be declared by a program")
            outside *= self.sizes[letter]
        over &= present
        for component in self._components(inside, over):
            outside *= self._component(component, over)
            if outside == 0:
                return outside
        return outside

    def _flatten(self, factors: list[sp.Expr], over: Indices) -> tuple[list[sp.Expr], Indices]:
        """Open the atoms among ``factors``: a sum of a sum is one sum, where no index is captured."""
        for atom in factors:
            if atom not in self.atom_body:
                continue
            bound, body = self.atom_body[atom]
            rest = [f for f in factors if f is not atom]
            if any(self.axes_of(f) & bound for f in rest) or bound & over:
                continue
            return self._flatten([*rest, *sp.Mul.make_args(body)], over | bound)
        return factors, over

    def _components(self, factors: list[sp.Expr], over: Indices) -> list[list[sp.Expr]]:
        """Split a product into parts that share no summed index: the sum of the product is the product of sums."""
        parts: list[tuple[Indices, list[sp.Expr]]] = []
        for factor in factors:
            letters, members = self.axes_of(factor) & over, [factor]
            apart = []
            for other, content in parts:
                if other & letters:
                    letters, members = letters | other, content + members
                else:
                    apart.append((other, content))
            parts = [*apart, (letters, members)]
        return [members for _, members in parts]

    def _component(self, factors: list[sp.Expr], over: Indices) -> sp.Expr:
        over = frozenset().union(*(self.axes_of(f) for f in factors)) & over
        for leaf, centre in self.centre_of.items():
            own = self.centred[leaf]
            others = [f for f in factors if f != centre]
            if centre in factors and own <= over and not any(self.axes_of(f) & own for f in others):
                if self.keeps_sums and not self.defining_a_mean:
                    break
                self._use("centring")
                return sp.Integer(0)
        if len(factors) == 1 and factors[0] in self.leaves and factors[0] not in self.centred:
            raise Centre(factors[0], over)
        for (bound, pair), name in self.contractions.items():
            others = [f for f in factors if f not in pair]
            if pair <= set(factors) and bound <= over and not any(self.axes_of(f) & bound for f in others):
                self._use("contraction")
                return self.reduce(sp.Mul(self._leaf(name, self.axes[name]), *others), over - bound)
        for factor in factors:
            if any(not p.base.is_Symbol for p in factor.atoms(sp.Pow)):
                raise SymbolicError(f"a sum over {sorted(over)} of {factor} is not expressible as a sum of monomials")
        monomial = sp.Mul(*factors)
        if (over, monomial) not in self.atoms:
            letters = "".join(sorted(over))
            atom = real(f"S_{letters}[{monomial}]")
            self.atoms[over, monomial] = atom
            self.atom_body[atom] = over, monomial
            self._make(atom, self.axes_of(monomial) - over)
        return self.atoms[over, monomial]

    def _contraction(self, name: sp.Symbol, value: sp.Expr, over: Indices) -> sp.Expr | None:
        """Register ``name = sum of a product of plain leaves``, less what comes out of the sum, as a leaf with a rule."""
        factors = frozenset(f for f in sp.Mul.make_args(value) if self.axes_of(f) & over)
        if len(factors) < 2 or not self.leaves.issuperset(sp.Mul.make_args(value)) or factors & set(self.centred):
            return None
        inside = sp.Mul(*factors)
        if (over, factors) not in self.contractions:
            if name in self.axes or inside != value:  # the name is an input's, or that of another product
                name = real(f"{name}[{'*'.join(sorted(map(str, factors)))}]")
            self._make(name, self.axes_of(inside) - over)
            self.contractions[over, factors] = name
        self._use("contraction")
        return value / inside * self._leaf(self.contractions[over, factors], self.axes_of(inside) - over)

    def _reciprocal(self, base: sp.Expr) -> sp.Expr:
        """Return 1/base with base factored: powers of symbols, and an opaque symbol for the reciprocal of a sum."""
        base = sp.factor(sp.together(base))
        self._divide_by(base)
        result = sp.Integer(1)
        for factor in sp.Mul.make_args(base):
            symbol, power = factor.as_base_exp()
            if symbol.is_Add:
                if symbol not in self.reciprocals:
                    self.reciprocals[symbol] = real(f"1/({symbol})")
                    self._make(self.reciprocals[symbol], self.axes_of(symbol))
                result *= self.reciprocals[symbol] ** power
            else:
                result *= factor**-1
        return result

    def _root(self, base: sp.Expr) -> sp.Expr:
        """Return the square root of a normal form as a product of a monomial and a root symbol."""
        base = sp.factor(sp.expand(self.canonical(base)))
        outside, inside = sp.Integer(1), sp.Integer(1)
        for factor in sp.Mul.make_args(base):
            symbol, power = factor.as_base_exp()
            if (power.is_Integer and power % 2 == 0) or (factor.is_Rational and sp.sqrt(factor).is_Rational):
                outside *= sp.sqrt(factor)
            elif symbol.is_positive and power.is_Integer:
                sign = 1 if power > 0 else -1
                outside *= symbol ** ((power - sign) / 2)
                inside *= symbol**sign
            else:
                inside *= factor
        if outside.has(sp.Abs):
            raise SymbolicError(f"sqrt({base}) needs the sign of {outside}; declare it in the domain of the law")
        if inside == 1:
            return outside
        inside = sp.expand(inside)
        for root, square in [*self.roots.items(), *self.extensions.items()]:
            if sp.expand(square.xreplace(self.eliminated) - inside) == 0 or sp.expand(square - inside) == 0:
                return outside * root
        return outside * self._new_root(inside)

    def _new_root(self, square: sp.Expr) -> sp.Symbol:
        self._use("root")
        if EPS in square.free_symbols and EPS not in self.eliminated and sp.degree(square, EPS) == 1:
            root = sp.Symbol("s", positive=True)
            slope = square.coeff(EPS)
            self._divide_by(slope)
            self.roots[root] = square
            self.eliminated[EPS] = sp.expand((root**2 - (square - slope * EPS)) / slope)
        else:
            sign = {"positive": True} if square.is_positive else {"nonnegative": True}
            root = sp.Symbol(f"r{len(self.extensions) + 1}", **sign)
            self.extensions[root] = square
        self._make(root, self.axes_of(square))
        return root

    def _reduce_extension(self, top: sp.Expr, root: sp.Symbol, square: sp.Expr) -> sp.Expr:
        if root not in top.free_symbols:
            return top
        polynomial = sp.Poly(top, root)
        reduced = sum(
            (
                coefficient * square ** (power // 2) * root ** (power % 2)
                for (power,), coefficient in polynomial.terms()
            ),
            sp.Integer(0),
        )
        return sp.expand(sp.fraction(sp.together(reduced))[0])

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _declare(self, symbol: sp.Symbol, letters: Indices) -> None:
        if self.axes.setdefault(symbol, letters) != letters:
            raise SymbolicError(
                f"{symbol} has the indices {sorted(self.axes[symbol])} in one place and {sorted(letters)} in another, "
                f"but should have the same everywhere"
            )

    def _make(self, symbol: sp.Symbol, letters: Indices) -> None:
        """Declare a symbol of the normal form's own, which no input may be taken for."""
        if symbol in self.leaves and symbol not in self.made:
            raise SymbolicError(
                f"{symbol} is a symbol that the normal form makes itself, but is an input too; rename it"
            )
        self.made.add(symbol)
        self._declare(symbol, letters)

    def _divide_by(self, divisor: sp.Expr) -> None:
        for factor in sp.Mul.make_args(sp.factor(divisor)):
            base = factor.as_base_exp()[0]
            if -base in self.divisors:
                continue
            if base.is_zero is not False or base in self.roots:
                self.divisors[base] = None

    def _use(self, axiom: str) -> None:
        if axiom not in self.axioms:
            self.axioms.append(axiom)


def centred_as_needed(work: Callable[[Coordinates], Result], *, keeps_sums: bool = False) -> Result:
    """Do ``work`` in fresh coordinates, again and again until no further leaf turns out to need centring."""
    centred: dict[sp.Symbol, Indices] = {}
    while True:
        try:
            return work(Coordinates(centred=dict(centred), keeps_sums=keeps_sums))
        except Centre as found:
            centred[found.leaf] = found.over


def normal_forms(program: Program) -> tuple[dict[str, sp.Expr], Coordinates]:
    """Return the normal form of every symbol of ``program`` and the coordinates that they are written in."""
    return centred_as_needed(lambda here: (here.run(program), here))
