"""Tales: a corpus whose entropy is known exactly, so that a loss curve can be drawn against the true floor.

A tale is about someone who wants something, walks out over hill and river to find it, and comes home the same way.
The tales are drawn from the grammar below (grammar.py explains its notation), so one knows what there is to learn and
how far: the expected -ln p per character is a number, computed, and no model whatever has a lower expected loss.

What a model must keep in mind, from near to far:
    words          what letters follow each other; a or the
    agreement      owl is, foxes are, with other animals between: the owl that the foxes fear is asleep
    the animal     who was met on the way out greets on the way home
    the way back   the places of the way out in reverse order: the last one left is the first one come back through
    the hero       name, kind, she or he, and the thing wished for: from the first sentence to the last

The floor   tales are independent, each followed by a blank line that says that it is over, so the entropy per
            character, in nats, with h that of a tale (grammar.py), is

                h / (expected characters of a tale + 2)                                                         (TR10)

            Training and validation are drawn separately from the same grammar: nothing is taken out afterwards, which
            would change the distribution. One finite
            validation text is a little easier or harder than the average: Corpus.validation_floor is its own
            -ln p / characters. A model that sees windows that begin in the middle of a tale knows less than the grammar
            and pays for it.
Converges   a journey holds another journey with probability 0.6, a party of animals another one with probability 0.3,
            nothing else recurs: the expected size of a tale is finite.
Unambiguous alternatives of a rule differ before they could be confused (tests/test_tales.py counts derivations).
"""
import functools
import random

from nanolm.data.corpus import Corpus
from nanolm.data.grammar import Grammar

TRAIN, VALIDATION = 3_000, 250                          # tales
END = "\n\n"                                            # after each tale

VARIABLES = {
    "HERO": {name: {"kind": kind, "she": she, "She": she.capitalize(), "her": {"she": "her", "he": "him"}[she],
                    "hers": {"she": "her", "he": "his"}[she]}
             for name, kind, she in [("Mina", "mouse", "she"), ("Otto", "otter", "he"), ("Bella", "bear", "she"),
                                     ("Hugo", "hedgehog", "he"), ("Fern", "fox", "she"), ("Rolf", "rabbit", "he"),
                                     ("Tilda", "toad", "she"), ("Sam", "squirrel", "he"), ("Greta", "goose", "she"),
                                     ("Max", "mole", "he"), ("Wilma", "weasel", "she"), ("Basil", "badger", "he")]},
    "SHE": {"she": {"She": "She"}, "he": {"She": "He"}},
    "THING": {thing: {} for thing in ["silver bell", "paper lantern", "golden key", "blue kite", "warm coat",
                                      "little drum", "story book", "red boat", "pot of honey", "brass button",
                                      "glass marble", "fiddle"]},
    "PLACE": {place: {} for place in ["over the hill", "through the wood", "across the river", "past the mill",
                                      "along the shore", "under the bridge", "around the lake", "between the stones"]},
    "ANIMAL": {animal: {} for animal in ["crow", "deer", "frog", "heron", "snail", "tortoise", "wolf", "wren"]},
    "NUMBER": {"one": {"is": "is", "s": "", "loves": "loves", "fears": "fears", "follows": "follows"},
               "many": {"is": "are", "s": "s", "loves": "love", "fears": "fear", "follows": "follow"}},
}

RULES = """
tale = <opening HERO THING> <first HERO.she THING> <ending HERO THING>

opening HERO THING = <when> there was a <nature> HERO.kind called HERO. HERO.She lived <home>,
  and <wish HERO.she THING>.
when = 4: Once upon a time | 2: Long ago | Last winter | One spring | Before you were born | When stones could talk
nature = 3: little | 2: young | clever | sleepy | merry | stubborn | curious | gentle | hungry | proud | quiet | brave
  | forgetful | cheerful | careful | dreamy | lonely | tidy | silly
home = in a <tree> tree | behind the <worn> clock | under the <worn> stairs | in a <worn> teapot | near the <worn> well
  | in a house of <straw> | under a heap of <straw>
tree = 3: hollow | fallen | pear | plum | walnut
worn = 3: worn | broken | crooked | green | royal | dusty
straw = 2: straw | leaves | feathers | books | moss | letters
wish SHE THING = all SHE wanted was a THING | more than anything SHE wished for a THING
  | SHE had everything but a THING | night after night SHE dreamed of a THING

first SHE THING = <leg SHE THING PLACE>
journey SHE THING = 3: <leg SHE THING PLACE> | 2: <finding SHE THING>
leg SHE THING PLACE = 2: <out SHE PLACE> <journey SHE THING> <back SHE PLACE>
  | <out SHE PLACE> <meeting SHE ANIMAL> <journey SHE THING> <back SHE PLACE> <farewell SHE ANIMAL>
out SHE PLACE = <so> SHE <went> PLACE. | SHE.She <went> PLACE, <weather>.
so = 2: So | 3: Then | Next | The day after
went = 3: went | 2: walked | ran | hopped | crept | marched | wandered | rushed | skipped | strolled
weather = 2: singing | counting <clouds> | in the <rain> | without a <sound> | as fast as <wind>
clouds = clouds | sheep | steps | trees | to ten
rain = rain | snow | moonlight | fog | dark | morning
sound = sound | map | hat | plan | friend
wind = the wind | a hare | lightning
back SHE PLACE = SHE.She <came> back PLACE. | Back SHE <came> PLACE, <weather>.
came = 3: came | 2: walked | hurried | danced | limped | ran | trotted | tiptoed

meeting SHE ANIMAL = There SHE met a <mood> ANIMAL, <and SHE> said: "<saying>"
mood = 2: wise | lonely | cheerful | grumpy | tiny | polite | tired | fat | shy | famous | busy | bored | wet | talking
and SHE = who | and when SHE asked the way it
saying = Mind your step! | Good <day>! | Ask the <creature>. | No. | 6: They say that <party NUMBER> NUMBER.is <state>.
day = day | morning | evening | luck
party NUMBER = 7: the <creature>NUMBER.s | 3: the <creature>NUMBER.s that <inner>
inner = <party NUMBER> NUMBER.loves | <party NUMBER> NUMBER.fears | <party NUMBER> NUMBER.follows
creature = owl | goat | cat | dog | hen | king | giant | robber | miller | donkey | duck | pig | queen | baker | troll
  | bee
state = asleep | awake | in love | at home | afraid of <fear> | up to something | old | lost | rich | hungry | angry
  | ill
fear = the dark | <creature>s | water | nothing
farewell SHE ANIMAL = 2: The ANIMAL <waved>. | SHE.She gave the ANIMAL a <present>.
waved = 2: waved | was still there | bowed | had fallen asleep | said goodbye | wept | smiled | had gone
  | asked for more
present = 2: kiss | flower | plum | feather | cake | pear | nut

finding SHE THING = And there, <where>, SHE found a THING. | And <where> hung a THING, and nobody else was there.
where = under a <worn> bench | in the <rain> | among <straw> | on a <tree> tree | beside a <mood> <creature>

ending HERO THING = <then> HERO the HERO.kind <kept> the THING, and <after HERO>.
then = 3: So | And so | From that day on
kept = 2: kept | loved | treasured | looked after
after HERO = HERO.she gave the <creature>s a <worn> one | HERO.she never lost it | nobody could take it from HERO.her
  | HERO.hers <children> have it still | HERO.she sleeps beside it to this day
  | if you go by at night you can hear HERO.her <laugh>
children = children | grandchildren | cousins | neighbours
laugh = laugh | sing | snore | whistle
"""


@functools.cache
def grammar():
    """Return the grammar of the tales."""
    return Grammar(RULES, "tale", VARIABLES)


def load(seed=0, progress=None):
    """Return the Corpus, with floor and validation_floor in nats per character. progress(done, total) counts tales."""
    total = TRAIN + VALIDATION
    texts = {}
    for side, first, count in (("training", 0, TRAIN), ("validation", TRAIN, VALIDATION)):
        rng, tales = random.Random(f"{side} {seed}"), []                # two streams: the sides are independent
        for i in range(count):
            tales.append(grammar().sample(rng)[0])
            if progress is not None:
                progress(first + i + 1, total)
        texts[side] = tales
    expected = grammar().expectations()
    validation = "".join(tale + END for tale in texts["validation"])
    floor, own_floor = per_character(expected), -log_probability(validation) / len(validation)
    about = (f"Tales from a probabilistic grammar, {TRAIN:,} for training and {VALIDATION:,} for validation, drawn "
             f"independently; a tale has {expected['nats']:.1f} nats and {expected['characters']:.0f} characters on "
             f"average.\n"
             f"Exact floor {floor:.4f} nats per character; of this validation text {own_floor:.4f}.")
    return Corpus("tales", "".join(tale + END for tale in texts["training"]), validation, about, floor, own_floor)


def per_character(expected):
    """Return the entropy in nats per character of an endless row of tales. expected: grammar().expectations()."""
    return expected["nats"] / (expected["characters"] + len(END))           # (TR10)


def per_word(expected):
    """Return the entropy in nats per word; a tale has one word more than it has spaces."""
    return expected["nats"] / (expected["spaces"] + 1)


def log_probability(text):
    """Return ln p of a text of whole tales, each followed by a blank line; -inf if it is not one."""
    if not text.endswith(END):
        return float("-inf")
    return sum(map(grammar().log_probability, text.removesuffix(END).split(END)))
