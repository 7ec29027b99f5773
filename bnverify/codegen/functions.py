"""What is printed: one table of functions, each a program with the order of its parameters and results."""

from __future__ import annotations

from dataclasses import dataclass

from bnverify.codegen.layouts import CHANNELS, Layout
from bnverify.symbolic.program import Program
from bnverify.symbolic.registry import derived

GRADIENTS = ("dx", "dgamma", "dbeta")
SECONDS = ("second_x", "second_gamma", "second_dy")
TANGENTS = ("tx", "tgamma", "tbeta")
UPSTREAM = ("ddx", "ddgamma", "ddbeta")
SAVED = ("batch_mean", "inv_std")
STORED = ("running_mean", "running_var", "eps")
TANGENT_SUMMARY = "the tangent of y along tangents of x, gamma and beta"
SECOND_SUMMARY = "the gradients of <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta>"


@dataclass(frozen=True)
class Function:
    """A function to print: its program, its parameters in order, what it returns, and what its docstring says."""

    name: str
    program: Program
    parameters: tuple[str, ...]
    returns: tuple[str, ...]
    summary: str
    source: str
    layout: Layout = CHANNELS


def whole_gradient() -> Program:
    """Return the program that computes everything of a training step, from the inputs alone."""
    return derived("input_gradient").program


def array_functions() -> tuple[Function, ...]:
    """Return the functions that are printed for whole arrays."""
    training = derived("training_forward").program
    gradient = whole_gradient().cut(["batch_mean", "inv_std"], GRADIENTS, "training_vjp")
    inference_gradient = derived("inference_gradient").program
    update = derived("running_update").program.cut(
        ["batch_mean", "batch_var"], ["new_running_mean", "new_running_var"], "running_update"
    )
    return (
        Function(
            "training_forward",
            training,
            ("x", "gamma", "beta", "eps"),
            ("y", "batch_mean", "batch_var", "inv_std"),
            "Normalize every channel of x by its batch mean and biased batch variance, the variance in two passes.",
            derived("training_forward").source,
        ),
        Function(
            "training_vjp",
            gradient,
            ("dy", "x", "gamma", "batch_mean", "inv_std"),
            GRADIENTS,
            "Return the gradients of training in closed form, from the mean and 1/s that the forward pass saved.",
            derived("input_gradient").source,
        ),
        Function(
            "inference",
            derived("inference").program,
            ("x", "gamma", "beta", "running_mean", "running_var", "eps"),
            ("y",),
            "Normalize every channel of x by its stored mean and variance.",
            derived("inference").source,
        ),
        Function(
            "inference_vjp",
            inference_gradient.needed_for([inference_gradient.symbol(o) for o in GRADIENTS]),
            ("dy", "x", "gamma", "running_mean", "running_var", "eps"),
            GRADIENTS,
            "Return the gradients of inference, where the statistics are constants.",
            derived("inference_backward").source,
        ),
        Function(
            "running_update",
            update,
            ("running_mean", "running_var", "batch_mean", "batch_var", "m", "update_rate", "correction"),
            ("new_running_mean", "new_running_var"),
            "Return the stored statistics after one batch of m values a channel.",
            derived("running_update").source,
        ),
        *_array_derivatives(),
        *_array_parts(),
    )


def _array_parts() -> tuple[Function, ...]:
    """Return the statistics of a part of a batch and their merge, for whole arrays."""
    statistics, merge = derived("statistics"), derived("merge")
    return (
        Function(
            "statistics",
            statistics.program,
            ("x",),
            ("n", "mean", "M2"),
            "Return the count of every channel's values, their mean and their sum of squared deviations, in two passes.",
            statistics.source,
        ),
        Function(
            "merge",
            merge.program,
            ("n_a", "mean_a", "M2_a", "n_b", "mean_b", "M2_b"),
            ("n", "mean", "M2"),
            "Return the statistics of two parts together, of which not both are empty.",
            merge.source,
        ),
    )


def _array_derivatives() -> tuple[Function, ...]:
    """Return the tangents and the double backward passes for whole arrays."""
    tangent, second = derived("output_tangent"), derived("second_gradient")
    still, still_second = derived("inference_output_tangent"), derived("inference_second_gradient")
    return (
        Function(
            "training_jvp",
            tangent.program.cut(SAVED, ["ty"], "training_jvp"),
            (*TANGENTS, "x", "gamma", *SAVED),
            ("ty",),
            f"Return {TANGENT_SUMMARY} in training.",
            tangent.source,
        ),
        Function(
            "training_double_backward",
            second.program.cut(SAVED, SECONDS, "training_double_backward"),
            (*UPSTREAM, "dy", "x", "gamma", *SAVED),
            SECONDS,
            f"Return {SECOND_SUMMARY} by x, gamma and dy, in training.",
            second.source,
        ),
        Function(
            "inference_jvp",
            still.program.needed_for(still.program.outputs, "inference_jvp"),
            (*TANGENTS, "x", "gamma", *STORED),
            ("ty",),
            f"Return {TANGENT_SUMMARY} in inference.",
            still.source,
        ),
        Function(
            "inference_double_backward",
            still_second.program.needed_for(
                [still_second.program.symbol(n) for n in SECONDS], "inference_double_backward"
            ),
            (*UPSTREAM, "dy", "x", "gamma", *STORED),
            SECONDS,
            f"Return {SECOND_SUMMARY} by x, gamma and dy, in inference.",
            still_second.source,
        ),
    )


def oracle_functions() -> tuple[Function, ...]:
    """Return the functions that are printed for one channel in ball arithmetic."""
    training, update = derived("training_forward").program, derived("running_update").program
    backward, inference = derived("inference_gradient").program, derived("inference").program
    return (
        Function(
            "training",
            training,
            ("x", "gamma", "beta", "eps"),
            ("y", "batch_mean", "inv_std"),
            "Return y, the mean and 1/s of one channel in training.",
            derived("training_forward").source,
        ),
        Function(
            "training_gradients",
            whole_gradient(),
            ("x", "gamma", "beta", "eps", "dy"),
            ("y", "batch_mean", "inv_std", "dx", "dgamma", "dbeta"),
            "Return y, the mean, 1/s and all gradients of one channel in training.",
            derived("input_gradient").source,
        ),
        Function(
            "inference",
            inference,
            ("x", "gamma", "beta", "running_mean", "running_var", "eps"),
            ("y",),
            "Return y of one channel in inference.",
            derived("inference").source,
        ),
        Function(
            "inference_gradients",
            backward,
            ("x", "gamma", "beta", "running_mean", "running_var", "eps", "dy"),
            ("y", "dx", "dgamma", "dbeta"),
            "Return y and the gradients of one channel in inference.",
            derived("inference_backward").source,
        ),
        Function(
            "running",
            update,
            ("x", "running_mean", "running_var", "update_rate", "correction"),
            ("new_running_mean", "new_running_var"),
            "Return the stored statistics of one channel after one batch.",
            derived("running_update").source,
        ),
        *_oracle_derivatives(),
    )


def _oracle_derivatives() -> tuple[Function, ...]:
    """Return the tangents and the double backward passes of one channel in ball arithmetic."""
    training, inference = ("x", "gamma", "beta", "eps"), ("x", "gamma", "beta", *STORED)
    rows = (
        ("training_tangents", "output_tangent", (*training, *TANGENTS), ("ty",)),
        ("training_seconds", "second_gradient", (*training, "dy", *UPSTREAM), SECONDS),
        ("inference_tangents", "inference_output_tangent", (*inference, *TANGENTS), ("ty",)),
        ("inference_seconds", "inference_second_gradient", (*inference, "dy", *UPSTREAM), SECONDS),
    )
    return tuple(
        Function(
            name,
            derived(of).program,
            parameters,
            returns,
            f"Return {TANGENT_SUMMARY if returns == ('ty',) else SECOND_SUMMARY} for one channel.",
            derived(of).source,
        )
        for name, of, parameters, returns in rows
    )
