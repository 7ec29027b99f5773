"""Programs differentiated in their rounding errors: what any implementation may be off by, to first order, and a majorant.

The class of implementations that a bound admits: each statement of the program is computed with the rounding errors of
its operations, every sum in any order (m additions of n terms: m·u·sum of the absolute terms, Higham 2002, section 4.2),
from inputs that are each off by ``input_rounding`` relatively. The last makes room for algorithms whose roundings lie in
no statement of ours (Welford, Chan, the folded form a x + b): they are right for inputs perturbed by that much.

The errors are not carried forward statement by statement, which would forget that the sum of x - mean is 0 and grow
like kappa². They are the *total* derivative of an output by each error, in the normal form, where such factors vanish;
then absolute values are taken term by term. All quantities of the resulting programs are absolute values.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed
from bnverify.symbolic.program import NO_INDICES, Indices, Program, Statement, real

UNIT = real("unit")
"""u, the unit roundoff of the elementwise operations."""

SUM_UNIT = real("sum_unit")
"""The unit roundoff of the accumulation, m of which a sum of m terms may be off by; u itself but in half precision."""

INPUT_ROUNDING = real("input_rounding")
"""The relative perturbation of every input, in multiples of 1 (c(m)·u)."""


def first_order(program: Program, outputs: Sequence[str], name: str) -> Program:
    """Return a program for ``error_<output>``, the first-order rounding error of each output.

    Its inputs are absolute values: ``abs_x``, ``abs_c_x`` (the centred x), ``abs_mean_x``, and so on; ``s`` is the root.
    """
    return centred_as_needed(lambda here: _Rounding(program, here).first_order(outputs, name))


def majorant(program: Program, outputs: Sequence[str], name: str) -> Program:
    """Return a program for ``majorant_<output>``: the normal form with absolute values in place of its coordinates.

    Its growth when the coordinates grow bounds all that the first order leaves out. Terms of degree 1 are left out, for
    their perturbation is of first order exactly. The sum of a centred x, which is 0, is kept as ``stray_x``: with a mean
    that is off it is not 0, and its products (with itself, with the mean of dy) are of second order.
    """
    return centred_as_needed(lambda here: _Rounding(program, here).majorant(outputs, name), keeps_sums=True)


def reach(program: Program, outputs: Sequence[str], name: str) -> Program:
    """Return a program for ``reach_<output>``: what no number on the way to an output exceeds, in any order of products.

    Every monomial of the normal form is multiplied out with its factors replaced by ``wide_<factor>``, which the caller
    makes at least 1 (``wide_inverse`` for 1/s), and its sums, not yet divided by their numbers, by 1 + the sum of the
    absolute terms. So every partial product of it is counted.
    """
    return centred_as_needed(lambda here: _Rounding(program, here).reach(outputs, name))


def root_degree(program: Program, output: str) -> int:
    """Return the highest power of 1/s in the normal form of ``output``."""

    def read(here: Coordinates) -> int:
        form = sp.expand(here.run(program)[output])
        return max(
            -int(f.exp)
            for root in here.roots
            for t in sp.Add.make_args(form)
            for f in [*sp.Mul.make_args(t), 1 / root]
            if f.is_Pow and f.base == root
        )

    return centred_as_needed(read, keeps_sums=True)


class _Rounding:
    """One program, its normal forms, and the world of absolute values that bounds are written in."""

    def __init__(self, program: Program, here: Coordinates) -> None:
        self.program, self.here = program, here
        self.values = here.run(program)
        self.absolute = Coordinates(
            sizes=dict(program.sizes), axes={UNIT: NO_INDICES, SUM_UNIT: NO_INDICES, INPUT_ROUNDING: NO_INDICES}
        )
        self.bounds: dict[sp.Symbol, sp.Expr] = {}
        self.held: dict[sp.Symbol, sp.Expr] = {}

    # ------------------------------------------------------------------------------------------------- readings

    def first_order(self, outputs: Sequence[str], name: str) -> Program:
        tangents = self._tangents()
        return self._program(name, {f"error_{o}": self._majorize(tangents[self.program.symbol(o)]) for o in outputs})

    def majorant(self, outputs: Sequence[str], name: str) -> Program:
        found = {}
        for output in outputs:
            terms = [t for t in sp.Add.make_args(sp.expand(self.values[output])) if self._degree(t) > 1]
            found[f"majorant_{output}"] = self._majorize(sp.Add(*terms))
        return self._program(name, found)

    def reach(self, outputs: Sequence[str], name: str) -> Program:
        found = {}
        for output in outputs:
            terms = sp.Add.make_args(sp.expand(self.values[self.program.symbol(output).name]))
            found[f"reach_{output}"] = sp.Add(*(self._reach_of(t) for t in terms))
        return self._program(name, found)

    def _reach_of(self, term: sp.Expr) -> sp.Expr:
        result = sp.Integer(1)
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if factor.is_number:
                result *= sp.Max(1, abs(factor))
            elif base in self.program.sizes.values():
                result *= base ** sp.Max(power, 0)
            elif base in self.here.atom_body:
                over, body = self.here.atom_body[base]
                result *= (1 + self._summed(body, over)) ** abs(power)
            else:
                inverse = base in self.here.roots and power.is_negative
                wide = real("wide_inverse" if inverse else f"wide_{base.name}")
                self.absolute.axes[wide] = self.here.axes[base]
                result *= wide ** abs(power)
        return sp.expand(result)

    def _summed(self, body: sp.Expr, over: Indices) -> sp.Expr:
        """Return the sum of an atom's absolute terms, with the sums that code may form in its place.

        A sum of products of two centred values is a sum of products of the values as they are, less the mean of one times
        the sum of the other. With x twice no sum is formed so: that would be the variance in one pass, which is wrong.
        """
        leaf_of = self.leaf_of
        factors = sp.Mul.make_args(body)
        total = self.absolute.reduce(self._majorize_term(body), over)
        if len(factors) == 2 and all(f in leaf_of for f in factors):
            total += sp.Mul(*(self._total(leaf_of[f], over) for f in factors))
            total += self.absolute.reduce(sp.Mul(*(self._as_it_is(leaf_of[f]) for f in factors)), over)
        return total

    def _total(self, leaf: sp.Symbol, over: Indices) -> sp.Expr:
        """Return the sum of the absolute values of an input; of x the mean, which is there before anything else."""
        total = self.absolute.reduce(self._as_it_is(leaf), over)
        return total / sp.Mul(*(self.program.sizes[i] for i in over)) if leaf.name == "x" else total

    def _as_it_is(self, leaf: sp.Symbol) -> sp.Symbol:
        """Return the symbol of the absolute value of an input that is not centred."""
        positive = real(f"abs_{leaf.name}")
        self.absolute.axes[positive] = self.program.axes[leaf]
        return positive

    def _degree(self, term: sp.Expr) -> int:
        """Return how many perturbed coordinates a monomial is a product of, those inside its atoms included."""
        total = 0
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if base in self.here.atom_body:
                total += self._degree(self.here.atom_body[base][1]) * int(power)
            elif base.is_Symbol and base not in self.program.sizes.values():
                total += abs(int(power))
        return total

    # --------------------------------------------------------------------------------------------- the tangent

    def _tangents(self) -> dict[sp.Symbol, sp.Expr]:
        """Return the total derivative of every symbol, linear in one error symbol for each input and statement."""
        program, here = self.program, self.here
        env = {s: self.values[s.name] for s in program.axes}
        moved: dict[sp.Symbol, sp.Expr] = {}
        for symbol in program.inputs:
            moved[symbol] = self._error(symbol, INPUT_ROUNDING * self._abs(symbol))
        for statement in program.body:
            slope = sp.Add(
                *(
                    sp.diff(statement.expr, s) * self._holder(s, moved)
                    for s in sorted(statement.expr.free_symbols, key=str)
                    if s in moved
                )
            )
            total = here.reduce(here.value(slope, {**env, **self.held}), statement.over)
            rounding = UNIT * self._rounding(statement.expr)
            if statement.over:
                count = sp.Mul(*(program.sizes[x] for x in statement.over))
                rounding += SUM_UNIT * count * self._abs(statement.expr)
                rounding = self.absolute.reduce(sp.expand(rounding), statement.over)
                rounding += self._uncentred(statement, count)
            moved[statement.name] = sp.expand(total + self._error(statement.name, rounding))
        return moved

    def _uncentred(self, statement: Statement, count: sp.Expr) -> sp.Expr:
        """Return the error of a sum of products of two centred values by code that centres less.

        Where both are centred the error of a mean cancels, but right code may leave one as it is, or both: then the sum is
        sum(a b) - sum(a) sum(b)/m, each of whose three sums is off by m units of its absolute terms. Of x that would be the
        variance's one pass: x is centred first, and the error of its mean meets the sum of the other.
        """
        parts = sp.Mul.make_args(self.values[statement.name.name])
        atoms = [p for p in parts if p in self.here.atom_body]
        factors = sp.Mul.make_args(self.here.atom_body[atoms[0]][1]) if len(atoms) == 1 else ()
        leaves = [self.leaf_of[f] for f in factors if f in self.leaf_of]
        if len(leaves) != 2 or len(factors) != 2:
            return sp.Integer(0)
        scale = self._majorize(sp.Mul(*(p for p in parts if p not in atoms)))
        sums = [self.absolute.reduce(self._as_it_is(leaf), statement.over) for leaf in leaves]
        for leaf, other, total in ((*leaves, sums[0]), (*leaves[::-1], sums[1])):
            if leaf.name == "x":
                if other in statement.expr.free_symbols:  # left as it is here, too, and so counted
                    return sp.Integer(0)
                return scale * (count * SUM_UNIT + 2 * UNIT) * self._positive(self.here.mean_of[other]) * total
        products = self.absolute.reduce(sp.Mul(*(self._as_it_is(leaf) for leaf in leaves)), statement.over)
        return scale * SUM_UNIT * (count * products + 2 * sp.Mul(*sums))

    def _holder(self, symbol: sp.Symbol, moved: dict[sp.Symbol, sp.Expr]) -> sp.Symbol:
        """Return a placeholder for the tangent of ``symbol``, replaced by its normal form afterwards."""
        holder = real(f"tangent of {symbol.name}")
        self.held[holder] = moved[symbol]
        return holder

    def _error(self, symbol: sp.Symbol, bound: sp.Expr) -> sp.Expr:
        error = real(f"error of {symbol.name}")
        if bound == 0:
            return sp.Integer(0)
        self.here.axes[error] = self.program.axes[symbol]
        self.bounds[error] = bound
        return error

    def _rounding(self, expr: sp.Expr) -> sp.Expr:
        """Return the rounding error of evaluating ``expr`` once, in units of u: one rounding an operation."""
        if expr.is_Symbol or expr.is_Integer:
            return sp.Integer(0)
        args = expr.args
        if expr.is_Add:
            partial = self._abs(expr) if len(args) == 2 else sp.Add(*(self._abs(a) for a in args)) * (len(args) - 1)
            return sp.Add(*map(self._rounding, args)) + partial
        if expr.is_Mul:
            factors = [a for a in args if a not in (1, -1)]
            inherited = sp.Add(*(self._rounding(f) * self._abs(expr / f) for f in factors))
            return inherited + (len(factors) - 1) * self._abs(expr)
        if expr.is_Pow and (2 * expr.exp).is_Integer:
            base, power = expr.args
            own = abs(power) - 1 if power.is_Integer else abs(power) + sp.Rational(1, 2)
            own += 1 if power.is_negative else 0
            return abs(power) * self._abs(base ** (power - 1)) * self._rounding(base) + own * self._abs(expr)
        raise SymbolicError(f"no rounding error is known for {expr}")

    # ---------------------------------------------------------------------------------------- absolute values

    def _abs(self, expr: sp.Expr) -> sp.Expr:
        """Return a bound for the absolute value of an expression in the program's symbols."""
        factors = sp.Mul.make_args(expr)
        plain = {*self.program.inputs, *self.program.sizes.values()}
        if all(f.as_base_exp()[0] in plain or f.is_number for f in factors):
            return sp.Mul(
                *(abs(f) if f.is_number else self._positive(f.as_base_exp()[0]) ** f.as_base_exp()[1] for f in factors)
            )
        env = {s: self.values[s.name] for s in self.program.axes}
        return self._majorize(self.here.value(expr, env))

    def _majorize(self, form: sp.Expr) -> sp.Expr:
        """Return a normal form with every monomial replaced by its absolute value, and errors by their bounds."""
        opened = sp.expand(form)
        return sp.Add(*(self._majorize_term(term) for term in sp.Add.make_args(opened)))

    def _majorize_term(self, term: sp.Expr) -> sp.Expr:
        result = sp.Integer(1)
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if factor.is_number:
                result *= abs(factor)
            elif base in self.bounds:
                result *= self.bounds[base]
            elif base in self.here.atom_body:
                over, body = self.here.atom_body[base]
                if body in self.leaf_of:
                    result *= self._stray(base, self.leaf_of[body]) ** power
                    continue
                result *= self.absolute.reduce(self._majorize_term(body), over) ** power
            else:
                result *= self._positive(base) ** power
        return sp.expand(result)

    @property
    def leaf_of(self) -> dict[sp.Expr, sp.Symbol]:
        """The leaf of each centre."""
        return {centre: leaf for leaf, centre in self.here.centre_of.items()}

    def _stray(self, atom: sp.Symbol, leaf: sp.Symbol) -> sp.Symbol:
        """Return the symbol for what the perturbed centres of a leaf sum to."""
        stray = real(f"stray_{leaf.name}")
        self.absolute.axes[stray] = self.here.axes[atom]
        return stray

    def _positive(self, symbol: sp.Symbol) -> sp.Expr:
        """Return the symbol of an absolute value; the reciprocal of m - correction becomes 1/freedom."""
        if symbol in self.program.sizes.values():
            return symbol
        name = symbol.name if symbol in self.here.roots else f"abs_{symbol.name}"
        inverse = {v: k for k, v in self.here.reciprocals.items()}
        if symbol in inverse:
            if len(inverse) > 1:
                raise SymbolicError(f"{self.program.name} divides by several sums, but a bound names only one")
            name = "freedom"
        positive = real(name)
        self.absolute.axes[positive] = self.here.axes[symbol]
        return positive if symbol not in inverse else 1 / positive

    # -------------------------------------------------------------------------------------------- the program

    def _program(self, name: str, found: dict[str, sp.Expr]) -> Program:
        """Write expressions over absolute atoms as a program: a named sum for each atom, then the outputs."""
        atoms: dict[sp.Symbol, sp.Symbol] = {}
        body: list[Statement] = []

        def name_atoms(expr: sp.Expr) -> sp.Expr:
            for symbol in sorted(expr.free_symbols, key=str):
                if symbol in self.absolute.atom_body and symbol not in atoms:
                    over, inner = self.absolute.atom_body[symbol]
                    inner = name_atoms(inner)
                    atoms[symbol] = real(f"sum_{len(atoms) + 1}")
                    body.append(Statement(atoms[symbol], inner, over))
            return expr.xreplace(atoms)

        outputs = []
        for output, expr in found.items():
            total = sp.Integer(0)
            parts = sp.collect(name_atoms(sp.expand(expr)), [UNIT, SUM_UNIT, INPUT_ROUNDING], evaluate=False)
            for key, part in sorted(parts.items(), key=lambda item: str(item[0])):
                label = {UNIT: "_of_statements", SUM_UNIT: "_of_sums", INPUT_ROUNDING: "_of_inputs"}.get(key)
                if label is None:
                    total += sp.factor_terms(key * part)
                    continue
                body.append(Statement(real(output + label), sp.factor_terms(part)))
                total += key * body[-1].name
            outputs.append(real(output))
            body.append(Statement(outputs[-1], total))
        named = {*(s.name for s in body), *self.program.sizes.values()}
        inputs: dict[sp.Symbol, Indices] = {}
        for statement in body:
            for symbol in sorted(statement.expr.free_symbols - named, key=str):
                inputs[symbol] = self.absolute.axes[symbol]
        axes = dict(inputs)
        for statement in body:
            letters: Indices = frozenset().union(*(axes.get(s, frozenset()) for s in statement.expr.free_symbols))
            axes[statement.name] = letters - statement.over
        return Program(name, tuple(inputs), tuple(body), tuple(outputs), axes, self.program.sizes)
