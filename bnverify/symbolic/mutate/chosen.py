"""Mutations chosen by hand: the mistakes that people make, each with what it means in words."""

from __future__ import annotations

from bnverify.symbolic.mutate.mutation import Mutation

PATHS = "gamma*inv_std*(dy - dbeta/m - dgamma*x_hat/m)"

CHOSEN: tuple[Mutation, ...] = (
    Mutation(
        "variance-over-m-minus-one",
        "forward",
        {"batch_var": "(x - batch_mean)**2/(m - 1)"},
        "x is normalized by the variance divided by m - 1 instead of m",
    ),
    Mutation(
        "variance-about-zero", "forward", {"batch_var": "x**2/m"}, "the variance is taken without subtracting the mean"
    ),
    Mutation("eps-missing", "forward", {"inv_std": "1/sqrt(batch_var)"}, "eps is left out of the root"),
    Mutation("eps-outside-root", "forward", {"inv_std": "1/(sqrt(batch_var) + eps)"}, "eps is added outside the root"),
    Mutation(
        "root-missing", "forward", {"inv_std": "1/(batch_var + eps)"}, "x is divided by the variance, not by its root"
    ),
    Mutation("mean-dropped", "forward", {"x_hat": "x*inv_std"}, "the mean is not subtracted"),
    Mutation("gamma-missing", "forward", {"y": "x_hat + beta"}, "gamma is not applied"),
    Mutation("gamma-absolute", "output", {"y": "sqrt(gamma**2)*x_hat + beta"}, "y uses the absolute value of gamma"),
    Mutation("beta-missing", "forward", {"y": "gamma*x_hat"}, "beta is not added"),
    Mutation("beta-scaled", "forward", {"y": "gamma*(x_hat + beta)"}, "beta is added before gamma is applied"),
    Mutation(
        "dx-mean-path-dropped",
        "closed",
        {"dx": "gamma*inv_std*(dy - dgamma*x_hat/m)"},
        "dx lacks the path through the mean",
    ),
    Mutation(
        "dx-variance-path-dropped",
        "closed",
        {"dx": "gamma*inv_std*(dy - dbeta/m)"},
        "dx lacks the path through the variance",
    ),
    Mutation(
        "dx-variance-path-flipped",
        "closed",
        {"dx": "gamma*inv_std*(dy - dbeta/m + dgamma*x_hat/m)"},
        "the path through the variance has the wrong sign",
    ),
    Mutation(
        "dx-statistics-constant", "closed", {"dx": "gamma*inv_std*dy"}, "dx takes the batch statistics for constants"
    ),
    Mutation(
        "dx-gamma-missing", "closed", {"dx": "inv_std*(dy - dbeta/m - dgamma*x_hat/m)"}, "dx lacks the factor gamma"
    ),
    Mutation(
        "dx-gamma-absolute",
        "closed",
        {"dx": "sqrt(gamma**2)*inv_std*(dy - dbeta/m - dgamma*x_hat/m)"},
        "dx uses the absolute value of gamma",
    ),
    Mutation(
        "dx-over-m-minus-one",
        "closed",
        {"dx": "gamma*inv_std*(dy - dbeta/(m - 1) - dgamma*x_hat/(m - 1))"},
        "the sums in dx are divided by m - 1 instead of m",
    ),
    Mutation(
        "dx-eps-missing",
        "closed",
        {"dx": "gamma/sqrt(batch_var)*(dy - dbeta/m - dgamma*x_hat/m*inv_std**-1/sqrt(batch_var))"},
        "dx is computed as if eps were 0",
    ),
    Mutation("dgamma-from-x", "staged", {"dgamma": "dy*x"}, "dgamma sums dy times x instead of dy times x_hat"),
    Mutation("dgamma-averaged", "staged", {"dgamma": "dy*x_hat/m"}, "dgamma is averaged instead of summed"),
    Mutation("dbeta-averaged", "staged", {"dbeta": "dy/m"}, "dbeta is averaged instead of summed"),
    Mutation("dbeta-scaled", "staged", {"dbeta": "gamma*dy"}, "dbeta is multiplied by gamma"),
    Mutation(
        "inference-batch-statistics",
        "inference",
        {"inv_std": "1/sqrt(own_var + eps)", "x_hat": "(x - own_mean)*inv_std"},
        "inference normalizes by the statistics of its own batch",
        before=(("own_mean", "x/m", "i"), ("own_var", "(x - own_mean)**2/m", "i")),
    ),
    Mutation("inference-eps-missing", "inference", {"inv_std": "1/sqrt(running_var)"}, "inference leaves eps out"),
    Mutation(
        "inference-eps-outside-root",
        "inference",
        {"inv_std": "1/(sqrt(running_var) + eps)"},
        "inference adds eps outside the root",
    ),
    Mutation(
        "inference-root-missing",
        "inference",
        {"inv_std": "1/(running_var + eps)"},
        "inference takes the stored variance for a standard deviation",
    ),
    Mutation("inference-mean-ignored", "inference", {"x_hat": "x*inv_std"}, "inference ignores the stored mean"),
    Mutation("inference-gamma-missing", "inference", {"y": "x_hat + beta"}, "inference does not apply gamma"),
    Mutation("inference-beta-missing", "inference", {"y": "gamma*x_hat"}, "inference does not add beta"),
    Mutation(
        "inference-dx-training-formula",
        "inference_gradient",
        {"dx": PATHS},
        "the gradient of inference is computed by the formula of training",
    ),
    Mutation(
        "inference-dx-gamma-missing",
        "inference_gradient",
        {"dx": "inv_std*dy"},
        "the gradient of inference lacks the factor gamma",
    ),
    Mutation(
        "inference-dgamma-from-x",
        "inference_gradient",
        {"dgamma": "dy*x"},
        "the gradient of gamma in inference uses x instead of x_hat",
    ),
    Mutation(
        "running-correction-flipped",
        "running",
        {"new_running_var": "(1 - update_rate)*running_var + update_rate*batch_var*m/(m - 1 + correction)"},
        "the stored variance has the other correction (m for m - 1, or the reverse)",
    ),
    Mutation(
        "running-rate-swapped",
        "running",
        {
            "new_running_mean": "update_rate*running_mean + (1 - update_rate)*batch_mean",
            "new_running_var": "update_rate*running_var + (1 - update_rate)*batch_var*m/(m - correction)",
        },
        "update_rate weighs the old average instead of the new batch",
    ),
    Mutation(
        "running-not-updated",
        "running",
        {"new_running_mean": "running_mean", "new_running_var": "running_var"},
        "the stored statistics are never updated",
    ),
    Mutation(
        "running-replaced",
        "running",
        {"new_running_mean": "batch_mean", "new_running_var": "batch_var*m/(m - correction)"},
        "the batch replaces the stored statistics, whatever update_rate says",
    ),
    Mutation(
        "running-not-decayed",
        "running",
        {
            "new_running_mean": "running_mean + update_rate*batch_mean",
            "new_running_var": "running_var + update_rate*batch_var*m/(m - correction)",
        },
        "the old statistics keep the weight 1",
    ),
    Mutation(
        "running-deviation-stored",
        "running",
        {"new_running_var": "(1 - update_rate)*running_var + update_rate*sqrt(batch_var*m/(m - correction))"},
        "the standard deviation is averaged into the stored variance",
    ),
    Mutation(
        "running-mean-not-updated", "running", {"new_running_mean": "running_mean"}, "the stored mean is never updated"
    ),
    Mutation(
        "jvp-mean-path-dropped",
        "tangent",
        {"ty": "tx*gamma*inv_std + tbeta + ty_per_x_hat*x_hat"},
        "the tangent of y lacks the path through the mean",
    ),
    Mutation(
        "jvp-variance-path-dropped",
        "tangent",
        {"ty_per_x_hat": "tgamma"},
        "the tangent of y lacks the path through the variance",
    ),
    Mutation(
        "jvp-statistics-constant",
        "tangent",
        {"ty": "tx*gamma*inv_std + tbeta + tgamma*x_hat"},
        "the tangent of y takes the batch statistics for constants",
    ),
    Mutation(
        "jvp-gamma-missing",
        "tangent",
        {"ty": "centred_tx*inv_std + tbeta + (tgamma - inv_std*sum_tx_x_hat/m)*x_hat"},
        "the tangent of x enters that of y without gamma",
    ),
    Mutation(
        "jvp-gamma-tangent-dropped",
        "tangent",
        {"ty_per_x_hat": "-gamma*inv_std*sum_tx_x_hat/m"},
        "the tangent of gamma does not enter that of y",
    ),
    Mutation(
        "jvp-beta-tangent-dropped",
        "tangent",
        {"ty": "centred_tx*gamma*inv_std + ty_per_x_hat*x_hat"},
        "the tangent of beta does not enter that of y",
    ),
    Mutation(
        "second-statistics-constant",
        "second",
        {"second_x": "inv_std*ddgamma*dy"},
        "the double backward pass takes the batch statistics for constants when it differentiates by x",
    ),
    Mutation(
        "second-x-missing",
        "second",
        {"second_x": "0*x"},
        "the backward pass is taken for linear in dy alone: its gradient by x is 0",
    ),
    Mutation(
        "second-x-curvature-halved",
        "second",
        {
            "second_x_per_x_hat": "(-ddgamma*dgamma + 2*dgamma*gamma*inv_std*sum_ddx_x_hat/m"
            " - gamma*inv_std*sum_ddx_dy)/m"
        },
        "the term of third order in 1/s has the factor 2 for 3",
    ),
    Mutation(
        "second-x-gamma-path-dropped",
        "second",
        {
            "second_x": "inv_std*(-centred_ddx*dgamma*gamma*inv_std/m - centred_dy*gamma*inv_std*sum_ddx_x_hat/m"
            " + (3*dgamma*gamma*inv_std*sum_ddx_x_hat/m - gamma*inv_std*sum_ddx_dy)*x_hat/m)"
        },
        "the upstream gradient of dgamma does not reach x",
    ),
    Mutation(
        "second-gamma-variance-path-dropped",
        "second",
        {"second_gamma": "inv_std*sum_ddx_dy"},
        "the gradient by gamma lacks the path through the variance",
    ),
    Mutation(
        "second-dy-variance-path-dropped",
        "second",
        {"second_dy": "centred_ddx*gamma*inv_std + ddbeta + ddgamma*x_hat"},
        "the gradient by dy lacks the path through the variance",
    ),
    Mutation(
        "second-dy-mean-path-dropped",
        "second",
        {"second_dy": "ddx*gamma*inv_std + ddbeta + second_dy_per_x_hat*x_hat"},
        "the gradient by dy lacks the path through the mean",
    ),
)
