"""Wrong answers to the exercise on the schedule: a warm-up and half a cosine."""
import math

from nanolm.grading.exercise import ways


def cosine(step, peak, total, warmup=0, final=0.0, rise="step + 1", until="before", u="after warm-up", cut=True, angle="pi u",
           height="peak - final", half=True, floor="final", wave="1 + cos"):
    """schedules.cosine. Each argument is a place where people go wrong; the values given here are the right ones."""
    in_warmup = {"before": step < warmup, "and at": step <= warmup and warmup > 0, "never": False}[until]
    if in_warmup:
        return {"step + 1": peak * (step + 1) / warmup, "step": peak * step / warmup,
                "warmup + 1": peak * (step + 1) / (warmup + 1),
                "from final": final + (peak - final) * (step + 1) / warmup, "whole": float(peak), "zero": 0.0,
                "turned": peak * (warmup - step) / warmup, "whole numbers": peak * ((step + 1) // warmup),
                "of total": peak * (step + 1) / total}[rise]
    done = {"after warm-up": (step - warmup) / (total - warmup), "whole run": step / total,
            "step + 1": (step - warmup + 1) / (total - warmup),
            "last step": (step - warmup) / max(total - warmup - 1, 1), "over total": (step - warmup) / total,
            "late start": step / (total - warmup), "left": 1 - (step - warmup) / (total - warmup), "warmup added":
            (step - warmup) / (total + warmup), "whole numbers": float((step - warmup) // (total - warmup)),
            "no brackets": (step - warmup) / total - warmup}[u]
    done = min(1.0, done) if cut is True else done % 1.0 if cut == "again" else done
    a = {"pi u": math.pi * done, "2 pi u": 2 * math.pi * done, "pi u / 2": math.pi * done / 2, "u": done,
         "degrees": 180 * done}[angle]
    share = {"1 + cos": 1 + math.cos(a), "cos": math.cos(a), "1 - cos": 1 - math.cos(a), "sin": 1 + math.sin(a),
             "line": 2 * (1 - done), "cos(pi) u": 1 - done, "half of cos": 2 + math.cos(a), "quarter": 2 * math.cos(a / 2)}[wave]
    share = share / 2 if half else share
    high = {"peak - final": peak - final, "peak": peak, "peak + final": peak + final, "final - peak": final - peak}[height]
    low = {"final": final, "none": 0.0, "peak": peak}[floor]
    return max(final, high * share) if floor == "at least" else low + high * share


COSINE = ways(
    cosine,
    warmup_from_zero=("The warm-up begins at 0: peak step / warmup. The first update would be wasted: peak (step + 1) / warmup.",
                      {"rise": "step"}),
    warmup_one_too_long=("The warm-up is divided by warmup + 1: peak (step + 1) / warmup, which is peak at step warmup - 1.",
                         {"rise": "warmup + 1"}),
    warmup_from_final=("The warm-up begins at final. It rises from peak / warmup: peak (step + 1) / "
                       "warmup.", {"rise": "from final"}),
    warmup_over_total=("The warm-up is divided by total: peak (step + 1) / warmup.", {"rise": "of total"}),
    warmup_falls=("The warm-up falls: peak (step + 1) / warmup rises to peak.", {"rise": "turned"}),
    warmup_in_whole_numbers=("// cuts the warm-up to whole numbers, so the rate is 0 until its end: divide with /.",
                             {"rise": "whole numbers"}),
    no_warmup_rise=("Before warmup the rate is peak already: peak (step + 1) / warmup.", {"rise": "whole"}),
    nothing_in_warmup=("Before warmup the rate is 0: peak (step + 1) / warmup.", {"rise": "zero"}),
    warmup_forgotten=("There is no warm-up: for step < warmup the rate is peak (step + 1) / warmup.", {"until": "never"}),
    warmup_one_step_too_many=("At step warmup it still warms up, to more than peak: the warm-up is for step < warmup, not <=.",
                              {"until": "and at"}),
    warmup_in_progress=("u counts from the beginning of the run, step / total, so the cosine does not begin at peak. It counts "
                        "the steps after the warm-up: (step - warmup) / (total - warmup).", {"u": "whole run"}),
    warmup_not_subtracted_from_total=("u is (step - warmup) / total, so it does not reach 1 at step total: divide by total - "
                                      "warmup.", {"u": "over total"}),
    warmup_not_subtracted_from_step=("u is step / (total - warmup), so it does not begin at 0: (step - warmup) / (total - "
                                     "warmup).",
                                     {"u": "late start"}),
    warmup_added_to_total=("u is divided by total + warmup. The steps after the warm-up are total - "
                           "warmup.", {"u": "warmup added"}),
    progress_one_ahead=("u counts one step too many: (step - warmup) / (total - warmup) is 0 at step warmup.", {"u": "step + 1"}),
    final_one_step_early=("u reaches 1 at step total - 1: it is divided by total - warmup, not by one less.", {"u": "last step"}),
    brackets_forgotten=("u is (step - warmup) / total - warmup: the brackets around total - warmup are missing.",
                        {"u": "no brackets"}),
    progress_turned=("u falls from 1 to 0, so the rate rises: u is the share of the steps that is done.", {"u": "left"}),
    progress_in_whole_numbers=("// cuts u to a whole number: divide with /.", {"u": "whole numbers"}),
    rises_again=("After step total the cosine goes up again. u is never more than 1: min(1.0, u).", {"cut": False}),
    starts_again=("After step total it starts again at peak, as with restarts. u is never more than 1: min(1.0, u).",
                  {"cut": "again"}),
    whole_wave=("A whole wave, cos(2 pi u), comes back to peak at the end. Half of one: cos(pi u).", {"angle": "2 pi u"}),
    quarter_in_angle=("The angle is pi u / 2, so the rate ends half way. Half a wave: cos(pi u).", {"angle": "pi u / 2"}),
    pi_forgotten=("The angle is u: pi is forgotten, cos(pi u).", {"angle": "u"}),
    degrees=("The angle is in degrees. math.cos takes radians: cos(pi u).", {"angle": "degrees"}),
    one_forgotten=("cos goes from 1 to -1, so the rate becomes negative: (1 + cos(pi u)) / 2 goes from 1 to 0.", {"wave": "cos"}),
    cosine_subtracted=("(1 - cos(pi u)) / 2 goes from 0 to 1: the rate rises. (1 + cos(pi u)) / 2.", {"wave": "1 - cos"}),
    sine_for_cosine=("A sine stands where the cosine belongs.", {"wave": "sin"}),
    cosine_of_pi_alone=("u stands outside of the cosine: cos(pi) u is -u. It belongs inside: cos(pi u).", {"wave": "cos(pi) u"}),
    half_on_cosine_alone=("Only the cosine is halved: 1 + cos(pi u) / 2. Both are: (1 + cos(pi u)) / "
                          "2.", {"wave": "half of cos"}),
    straight_line=("The rate falls in a straight line: final + (peak - final) (1 + cos(pi u)) / 2 is slow, fast, slow.",
                   {"wave": "line"}),
    quarter_wave=("It is a quarter of a wave, cos(pi u / 2), which is steepest at the end. Half a wave is flat at both ends: (1 "
                  "+ cos(pi u)) / 2.", {"wave": "quarter"}),
    half_forgotten=("The 1/2 is forgotten: 1 + cos goes from 2 to 0, so the rate begins at about twice the "
                    "peak.", {"half": False}),
    final_not_subtracted=("The cosine's height is peak, so the rate begins at final + peak. Its height is peak - final.",
                          {"height": "peak"}),
    final_added_to_height=("The cosine's height is peak + final: peak - final.", {"height": "peak + final"}),
    height_sign=("The cosine's height is final - peak, so the rate falls below final: peak - final.", {"height": "final - peak"}),
    final_not_added=("final is not added, so the rate ends at 0: final + (peak - final) (1 + cos(pi u)) / 2.", {"floor": "none"}),
    final_ignored=("final is ignored: the rate falls to 0. final + (peak - final) (1 + cos(pi u)) / 2.",
                   {"floor": "none", "height": "peak"}),
    final_as_a_floor=("final is only a floor, max(final, ...), under a cosine that goes to 0 (or to less than its height): the "
                      "cosine itself goes from peak to final.", {"floor": "at least", "height": "peak"}),
)
