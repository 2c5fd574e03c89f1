"""Wrong answers to the exercises on SGD and momentum. They work in place, as the right ones do, and return nothing."""
import numpy as np

from nanolm.grading.exercise import ways


def first_of_shape(arrays, name, shape_of):
    """Return the array of the first name with the same shape: what happens where a state is kept by shape."""
    shape = shape_of[name].shape
    return next(a for other, a in arrays.items() if shape_of[other].shape == shape)


def sgd_step(params, grads, state, lr, groups=None, count="step", gradient="g", rate="lr", sign=-1, which="all", written="moved"):
    """sgd.step. Each argument is a place where people go wrong; the values given here are the right ones."""
    t = state["t"]
    state["t"] = {"step": t + 1, "never": t, "parameter": t + len(params)}[count]
    lr = {"lr": lr, "forgotten": 1.0, "squared": lr * lr, "divided": 1 / lr, "by t": lr / (t + 1), "hundredth": 0.01}[rate]
    names = {"all": list(params), "first": list(params)[:1], "last": list(params)[-1:], "not first": list(params)[1:],
             "matrices": [name for name in params if params[name].ndim > 1]}[which]
    length = np.sqrt(sum((g * g).sum() for g in grads.values()))
    for name in names:
        w, g = params[name], grads[name]
        g = {"g": g, "sign": np.sign(g), "mean": g.mean() + 0 * g, "sum": g.sum() + 0 * g, "length one": g / (length or 1.0),
             "by shape": first_of_shape(grads, name, params), "times w": g * w, "square": g * g, "per number": g / g.size,
             "w": w, "plus w": g + w}[gradient]
        if written == "moved":
            w += sign * lr * g
        elif written == "assigned":
            w[...] = sign * lr * g
        elif written == "twice":
            w += 2 * sign * lr * g


SGD = ways(
    sgd_step,
    uphill=("The weights move with the gradient, so the loss goes up. The gradient points uphill: subtract, w <- w - lr g.",
            {"sign": 1}),
    nothing_moves=("The arrays of params are as before: w = w - lr * g makes a new array and gives it the name w; the array that "
                   "the model holds does not move. (What is returned is not looked at.) Write into it: w -= lr * g, or "
                   "params[name][...] = ....", {"written": "rebound"}),
    steps_not_counted=('state["t"] stays as it was. It is the number of steps made: add 1 to it, once a step.',
                       {"count": "never"}),
    counted_per_parameter=('state["t"] goes up once for each parameter. It counts steps: add 1 outside of the loop over the '
                           'parameters.', {"count": "parameter"}),
    lr_forgotten=("The step is the whole gradient: lr is forgotten. w <- w - lr g; with lr = 0.01 this step is 100 times too "
                  "long.",
                  {"rate": "forgotten"}),
    lr_squared=("The step is lr^2 g: lr multiplies twice. With lr = 0.01 it is 100 times too short.", {"rate": "squared"}),
    divided_by_lr=("The gradient is divided by lr. It is multiplied by it: w <- w - lr g.", {"rate": "divided"}),
    lr_argument_ignored=("lr is always 0.01, whatever the argument says: a schedule could not change it. Use the lr that was "
                         "passed.", {"rate": "hundredth"}),
    lr_falls_with_t=("lr is divided by the number of steps. A schedule does that outside, if it is wanted; here lr is taken as "
                     "it was passed.", {"rate": "by t"}),
    sign_of_gradient=("Only the sign of the gradient is used, so that every weight moves by lr. SGD moves each by lr g: large "
                      "gradients are large steps.", {"gradient": "sign"}),
    mean_of_gradient=("Each array moves as a whole, by the mean of its gradient. Every weight has a gradient of its own: "
                      "w -= lr * g, element by element.", {"gradient": "mean"}),
    sum_of_gradient=("Each array moves as a whole, by the sum of its gradient. Every weight has a gradient of its own: "
                     "w -= lr * g, element by element.", {"gradient": "sum"}),
    gradient_made_length_one=("The gradient is divided by its length first. SGD takes it as it is; a limit on the length is "
                              "clipping's job.", {"gradient": "length one"}),
    gradient_averaged=("The gradient is divided by the number of its entries. The average over the batch is in the loss "
                       "already; g is used as it is.", {"gradient": "per number"}),
    gradient_by_shape=("A parameter is moved by the gradient of another one of the same shape: the first with this shape serves "
                       "them all. Look gradients up by name, not by shape.", {"gradient": "by shape"}),
    gradient_times_weight=("The gradient is multiplied by the weight, w *= 1 - lr g. A step subtracts: w <- w - lr g, or a "
                           "weight of zero never moves.", {"gradient": "times w"}),
    gradient_squared=("The gradient is squared. That loses its sign: w <- w - lr g.", {"gradient": "square"}),
    weight_for_gradient=("w is subtracted from itself, w - lr w: the gradient is forgotten. w <- w - lr g.", {"gradient": "w"}),
    decays=("Beside the gradient, w itself is subtracted. SGD here has no decay: w <- w - lr g.", {"gradient": "plus w"}),
    weight_replaced=("w becomes -lr g: the step itself is written in its place. It is added: w <- w - lr g, with -= and not =.",
                     {"written": "assigned"}),
    moved_twice=("Every step is made twice: it is 2 lr g long.", {"written": "twice"}),
    first_parameter_only=("Only the first parameter moves: does a return stand inside the loop?", {"which": "first"}),
    last_parameter_only=("Only the last parameter moves: does the line stand behind the loop in place of "
                         "inside?", {"which": "last"}),
    first_parameter_left_out=("The first parameter does not move: the loop begins one too late.", {"which": "not first"}),
    matrices_only=("Only arrays with two axes move. Biases and gains learn too.", {"which": "matrices"}),
)


def momentum_step(params, grads, state, lr, momentum=0.9, nesterov=False, groups=None, count="step", mu="as passed",
                  g_share="whole",
                  velocity="kept", direction="as asked", rate="lr", sign=-1, shared="own", written="moved", u_sign=1):
    """momentum.step, with the switches of its mistakes."""
    t = state["t"]
    state["t"] = {"step": t + 1, "never": t, "parameter": t + len(params)}[count]
    mu = {"as passed": momentum, "nine tenths": 0.9, "none": 0.0, "one": 1.0, "rest": 1 - momentum}[mu]
    velocities = {name: state["u." + name] for name in params}
    for name, w in params.items():
        g = grads[name]
        u = first_of_shape(velocities, name, params) if shared == "by shape" else velocities[name]
        old = u.copy()
        inner = {"inside": lr, "inside and minus": -lr}.get(rate, 1.0)
        new = u_sign * mu * u + {"whole": 1.0, "rest": 1 - mu, "none": 0.0}[g_share] * inner * g
        if velocity == "outside":
            new = mu * (u + g)
        if velocity not in ("not written", "old first"):
            u[...] = new
        ahead = {"as asked": nesterov, "never": False, "always": True, "exchanged": not nesterov}.get(direction, nesterov)
        way = inner * g + mu * new if ahead else new
        if direction in ("u alone", "whole u", "twice") and nesterov:
            way = {"u alone": mu * new, "whole u": g + new, "twice": new + mu * new}[direction]
        way = {"g": 1.0 * g, "g and u": g + new}.get(direction, way)
        lr_now = {"lr": lr, "forgotten": 1.0, "twice": lr * lr, "inside": 1.0, "inside and minus": -1.0,
                  "averaged": lr * (1 - mu)}[rate]
        if velocity == "old first":                         # u is changed after the step
            way, u[...] = (g + mu * old if ahead else old), new
        if written == "moved":
            w += sign * lr_now * way


MOMENTUM = ways(
    momentum_step,
    uphill=("The weights move with the velocity, so the loss goes up: subtract, w <- w - lr u.", {"sign": 1}),
    nothing_moves=("The arrays of params are as before: w = w - lr * u makes a new array and gives it the name w; the array that "
                   "the model holds does not move. Write into it: w -= lr * u, or params[name][...] = ....",
                   {"written": "rebound"}),
    steps_not_counted=('state["t"] stays as it was. It is the number of steps made: add 1 to it, once a step.',
                       {"count": "never"}),
    counted_per_parameter=('state["t"] goes up once for each parameter. It counts steps: add 1 outside of the loop.',
                           {"count": "parameter"}),
    velocity_not_kept=("The new velocity is used but not written back: u = momentum * u + g makes a new array, and state keeps "
                       "the old one. With zeros at the start it stays zero for ever. u *= momentum; u += g.",
                       {"velocity": "not written"}),
    gradient_damped=("g enters the velocity with the factor 1 - momentum, as in Adam's averages. Here u is a sum: u <- momentum "
                     "u + g, which after many equal steps is g / (1 - momentum), ten times g at 0.9.", {"g_share": "rest"}),
    gradient_not_in_velocity=("The gradient does not enter the velocity: u <- momentum u + g.", {"g_share": "none"}),
    momentum_on_gradient_too=("momentum multiplies the gradient too: u <- momentum (u + g). It is u <- momentum u + g.",
                              {"velocity": "outside"}),
    velocity_is_an_average_the_wrong_way=("The velocity is (1 - momentum) u + g: the share that is kept is momentum, 0.9 of u "
                                          "and not 0.1.", {"mu": "rest"}),
    momentum_argument_ignored=("momentum is always 0.9, whatever the argument says. Use the one that was passed.",
                               {"mu": "nine tenths"}),
    old_velocity_forgotten=("The old velocity is thrown away: u becomes g alone. That is SGD; u <- momentum u + "
                            "g.", {"mu": "none"}),
    nothing_fades=("The old velocity is kept whole: u <- u + g. Without momentum's factor it grows for ever.", {"mu": "one"}),
    old_velocity_subtracted=("The old velocity has the wrong sign: u <- momentum u + g. What gradients agree on is to add up.",
                             {"u_sign": -1}),
    steps_along_gradient=("The weights move along g: the velocity is computed and not used. w <- w - lr u.", {"direction": "g"}),
    steps_along_old_velocity=("The weights move first and the velocity is changed afterwards, so the step is made with the old "
                              "one; the first step does nothing at all. First u <- momentum u + g, then w.",
                              {"velocity": "old first"}),
    gradient_added_to_velocity=("The weights move along g + u: u holds g already. w <- w - lr u, and with nesterov g + momentum "
                                "u.",
                                {"direction": "g and u"}),
    nesterov_ignored=("With nesterov=True it makes the plain step. Then the direction is g + momentum u, with the new u: with "
                      "the old one, g + momentum u is the plain step once more.",
                      {"direction": "never"}),
    nesterov_always=("Nesterov's step is made also where nesterov is False. Then the direction is u alone.",
                     {"direction": "always"}),
    nesterov_exchanged=("nesterov is the wrong way round: True asks for g + momentum u, False for "
                        "u.", {"direction": "exchanged"}),
    nesterov_without_gradient=("With nesterov the direction is momentum u alone: g + momentum u.", {"direction": "u alone"}),
    nesterov_without_momentum=("With nesterov the direction is g + u: the factor momentum is forgotten, g + momentum u.",
                               {"direction": "whole u"}),
    nesterov_on_velocity_twice=("With nesterov the direction is u + momentum u. It is g + momentum u.", {"direction": "twice"}),
    lr_inside_velocity=("lr is inside the velocity: u <- momentum u + lr g, w <- w - u. At a constant lr the weights move the "
                        "same, but a change of lr acts late. Here lr stands outside: w <- w - lr u.", {"rate": "inside"}),
    minus_lr_inside_velocity=("The velocity is u <- momentum u - lr g, w <- w + u, as some papers write it. Here u is a sum of "
                              "gradients, and lr and minus stand outside: w <- w - lr u.", {"rate": "inside and minus"}),
    lr_forgotten=("lr is forgotten: w <- w - lr u.", {"rate": "forgotten"}),
    lr_squared=("lr multiplies twice: w <- w - lr u. Is it inside the velocity and outside?", {"rate": "twice"}),
    step_damped=("The step is multiplied by 1 - momentum. It is lr u: that it grows to ten times SGD's is meant.",
                 {"rate": "averaged"}),
    velocity_by_shape=("Parameters of the same shape share one velocity. Each has its own, under its name: state[\"u.\" + name].",
                       {"shared": "by shape"}),
)
