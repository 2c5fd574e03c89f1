"""Wrong answers to the exercise on BERT's masking; the labels (MK1) and (MK2) are those of data/masking.py."""
import numpy as np

from nanolm.grading.exercise import ways


def masked(ids, vocab_size, mask_id, special, rng, tokens=None, share=0.15, may="both", draws="in order", cut="80 10 10",
           targets="chosen", ignore=-100, coin="own"):
    """masking.masked, with a switch wherever people go wrong."""
    plain = ~np.isin(ids, np.asarray(list(special), dtype=np.int64))
    inside = np.ones(ids.shape, bool) if tokens is None else tokens
    may = {"both": plain & inside, "special too": inside, "padding too": plain, "all": plain | True,
           "special alone": ~plain & inside, "padding alone": plain if tokens is None else plain & ~inside}[may]
    if draws == "random first":
        other, u, own = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype), rng.random(ids.shape), rng.random(ids.shape)
    elif draws == "random before coin":
        u, other, own = rng.random(ids.shape), rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype), rng.random(ids.shape)
    elif draws == "one coin":
        u = own = rng.random(ids.shape)
        other = rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    else:
        u, own, other = rng.random(ids.shape), rng.random(ids.shape), rng.integers(0, vocab_size, ids.shape, dtype=ids.dtype)
    chosen = may & (u < share)
    if coin == "not chosen":
        chosen = may & (u >= share)
    tenth, last, none = (own >= 0.8) & (own < 0.9), own >= 0.9, own > 2
    hide, swap = {"80 10 10": (own < 0.8, tenth), "all": (~none, none), "80 20": (own < 0.8, own >= 0.8),
                  "80 0 20": (own < 0.8, none), "10 80 10": (tenth, own < 0.8), "80 unchanged first": (own < 0.8, last),
                  "90 10": (own < 0.9, last),
                  "10 10 80": (last, tenth), "90 0 10": (own < 0.9, none)}[cut]
    inputs = np.where(chosen & hide, ids.dtype.type(mask_id), ids)
    inputs = np.where(chosen & swap, other, inputs)
    if coin == "everywhere":
        inputs = np.where(hide, ids.dtype.type(mask_id), np.where(swap, other, ids))
    long = ids.astype(np.int64)
    where = {"chosen": chosen, "inputs": chosen, "marks": chosen, "all": plain | True, "others": ~chosen,
             "hidden only": chosen & hide, "changed only": chosen & (hide | swap), "all tokens": inside & plain}[targets]
    targets = chosen.astype(np.int64) if targets == "marks" else np.where(where, inputs if targets == "inputs" else long, ignore)
    return (targets, inputs) if draws == "returned the other way" else (inputs, targets)


MASKED = ways(
    masked,
    targets_returned_first=("The right arrays in another order: inputs, then targets.", {"draws": "returned the other way"}),
    special_tokens_chosen=("Special tokens are chosen too. [CLS], [SEP] and [PAD] never are: leave out the ids in special, "
                           "(MK1).",
                           {"may": "special too"}),
    padding_chosen=("Padding is chosen too. Where tokens is False there is no token: nothing may be chosen there, (MK1).",
                    {"may": "padding too"}),
    everything_chosen_from=("Special tokens and padding are chosen too. Neither may be: leave out the ids in special, and "
                            "where tokens is False, (MK1).", {"may": "all"}),
    tokens_turned_round=("tokens is the wrong way round: True is a token, False is padding, (MK1).", {"may": "padding alone"}),
    special_tokens_only=("Only special tokens are chosen; they are the ones that never are, (MK1).", {"may": "special alone"}),
    share_turned_round=("All tokens were chosen but the share: chosen is where the first number is below share, (MK1).",
                        {"coin": "not chosen"}),
    changed_without_choice=("Tokens that were not chosen were changed too: the rule 80, 10, 10 is for the chosen ones alone, "
                            "(MK1).", {"coin": "everywhere"}),
    always_mask=("All chosen tokens became [MASK]. 80 of 100 do; 10 become a random token and 10 stay, (MK1).", {"cut": "all"}),
    none_stays=("All chosen tokens that did not become [MASK] became random ones. Of 100 chosen tokens 80 become [MASK], 10 a "
                "random one, and 10 stay what they are, (MK1).", {"cut": "80 20"}),
    none_random=("No chosen token became a random one. Of 100 chosen tokens 80 become [MASK], 10 a random one, and 10 stay what "
                 "they are, (MK1).", {"cut": "80 0 20"}),
    mask_and_random_exchanged=("80 of 100 chosen tokens became random ones and 10 became [MASK]; it is the other way round, "
                               "(MK1).", {"cut": "10 80 10"}),
    random_and_unchanged_exchanged=("The shares are right, but the two tenths are exchanged: numbers of the second draw from "
                                    "0.8 up to 0.9 make a random token, those from 0.9 on leave the token, as the task says.",
                                    {"cut": "80 unchanged first"}),
    nine_tenths_masked=("90 of 100 chosen tokens became [MASK] and 10 random ones, and none stays. It is 80, 10 and 10, (MK1).",
                        {"cut": "90 10"}),
    nine_tenths_masked_none_random=("90 of 100 chosen tokens became [MASK] and 10 stayed. It is 80 [MASK], 10 random, 10 as "
                                    "they are, (MK1).", {"cut": "90 0 10"}),
    mask_and_unchanged_exchanged=("80 of 100 chosen tokens stayed and 10 became [MASK]; it is the other way round, (MK1).",
                                  {"cut": "10 10 80"}),
    one_draw_for_both=("One draw decides both which tokens are chosen and what becomes of them. All chosen ones have a number "
                       "below share, so nearly always below 0.8, and all become [MASK]. Draw a second one, as the task says, "
                       "(MK1).", {"draws": "one coin"}),
    random_tokens_drawn_first=("The random tokens were drawn first. The three draws come in the order of the task, or the "
                               "generator gives other numbers: which, what, and the random tokens.", {"draws": "random first"}),
    random_tokens_drawn_second=("The random tokens were drawn second. The three draws come in the order of the task, or the "
                                "generator gives other numbers: which, what, and the random tokens.",
                                {"draws": "random before coin"}),
    targets_everywhere=("targets holds every token. Only the chosen ones count; -100 stands everywhere else, (MK2).",
                        {"targets": "all"}),
    targets_from_inputs=("targets holds what was put into inputs. The model is to guess the token that stood there "
                         "before, (MK2).",
                         {"targets": "inputs"}),
    targets_at_the_others=("targets is the wrong way round: -100 stands at the chosen tokens, and the others count, (MK2).",
                           {"targets": "others"}),
    only_hidden_ones_count=("Only tokens that became [MASK] count. All chosen ones do, those that became random or stayed "
                            "too, (MK2).", {"targets": "hidden only"}),
    only_changed_ones_count=("Tokens that were chosen and stayed do not count. They do: the model cannot know that they are "
                             "right, (MK2).", {"targets": "changed only"}),
    targets_are_marks=("targets holds 1 where a token was chosen and 0 elsewhere. It holds the token that stood there, and "
                       "-100 elsewhere, (MK2).", {"targets": "marks"}),
    all_tokens_count=("All tokens that could have been chosen count. Only those that were chosen do, (MK2).",
                      {"targets": "all tokens"}),
    zero_for_ignored=("What does not count is 0 in targets. 0 is a token; it must be -100, (MK2).", {"ignore": 0}),
    minus_one_for_ignored=("What does not count is -1 in targets. It must be -100, which the loss leaves out, (MK2).",
                           {"ignore": -1}),
)
