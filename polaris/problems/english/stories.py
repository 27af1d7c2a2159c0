"""The stories of the family `words`: what they say, which numbers they take, and how they are solved.

Slots of a story: {Name} {friend} {third} (people), {She} {she} (Name), {boxes} {things} {fruits} (drawn nouns),
{a} ... {e} (numbers). Steps: label and operation, in order; `s1`, `s2`, ... are the results of earlier steps.
"""

from dataclasses import dataclass

PEOPLE = {
    "She she": (
        "Mia", "Anna", "Laura", "Nina", "Sofia", "Emma", "Clara", "Ruth", "Grace", "Ivy", "Leila", "Hanna",
        "Olga", "Paula", "Vera", "Zoe",
    ),
    "He he": (
        "Tom", "Ben", "Omar", "Paul", "Leo", "Max", "Felix", "Hugo", "Ivan", "Jonas", "Karim", "Luis", "Noah",
        "Oscar", "Peter", "Sam",
    ),
}  # fmt: skip
BOXES = ("boxes", "bags", "jars", "baskets", "tins", "drawers")
THINGS = (
    "marbles", "stickers", "pencils", "shells", "coins", "cards", "buttons", "beads",
    "stamps", "stones", "badges", "crayons",
)  # fmt: skip
FRUITS = ("apples", "pears", "plums", "peaches", "oranges", "lemons")
# Said before the question, of no use for it.
DISTRACTORS = (
    "It is {n} degrees outside.",
    "The house across the street has the number {n}.",
    "The radio plays {n} songs before the news.",
    "The nearest town is {n} miles away.",
    "The clock on the wall is {n} minutes slow.",
)


@dataclass(frozen=True)
class Template:
    """One story. numbers: slot -> lowest and highest value; steps: (label, left, operator, right)."""

    story: str
    numbers: dict[str, tuple[int, int]]
    steps: tuple[tuple[str, str, str, str], ...]


def _template(story: str, numbers: str, steps: str) -> Template:
    """numbers: `a 2-9, b 3-12`; steps: `label: left operator right`, after semicolons."""
    ranges = (part.split() for part in numbers.split(", "))
    bounds = {name: tuple(map(int, text.split("-"))) for name, text in ranges}
    parsed = ((label, *operation.split()) for label, operation in (step.split(": ") for step in steps.split("; ")))
    return Template(story, bounds, tuple(parsed))  # type: ignore[arg-type]


TRAIN = {
    "boxes": _template(
        "{Name} has {a} {boxes} with {b} {things} in each. {She} gives {c} {things} to {friend}. How many {things} "
        "does {she} have left?",
        "a 2-9, b 3-20, c 2-40",
        "In all: a * b; Left: s1 - c",
    ),
    "bus": _template(
        "There are {a} people on a bus. At the next stop {b} people get off and {c} people get on. How many people "
        "are on the bus now?",
        "a 12-60, b 2-30, c 2-30",
        "Stay: a - b; Now: s1 + c",
    ),
    "book": _template(
        "A book has {a} pages. {Name} reads {b} pages a day for {c} days. How many pages are left to read?",
        "a 40-100, b 4-15, c 2-7",
        "Read: b * c; Left: a - s1",
    ),
    "share": _template(
        "{Name} has {a} {things} and {friend} has {b} {things}. They put them together and share them equally among "
        "{c} children. How many {things} does each child get?",
        "a 4-60, b 4-60, c 2-9",
        "Together: a + b; Each: s1 / c",
    ),
    "change": _template(
        "{Name} buys {a} notebooks for {b} dollars each and pays with {c} dollars. How many dollars does {she} get "
        "back?",
        "a 2-9, b 2-9, c 20-100",
        "Price: a * b; Back: c - s1",
    ),
    "twice": _template(
        "{friend} has {a} {things}. {Name} has twice as many {things} as {friend}. How many {things} do they have "
        "together?",
        "a 3-33",
        "{Name}: a * 2; Together: a + s1",
    ),
    "orchard": _template(
        "A farmer plants {a} rows of {b} trees. In the dry summer {c} of the trees die. How many trees are left?",
        "a 3-9, b 4-12, c 2-30",
        "Planted: a * b; Left: s1 - c",
    ),
    "saving": _template(
        "{Name} has {a} dollars and saves {b} dollars every week. How many dollars does {she} have after {c} weeks?",
        "a 5-50, b 2-9, c 2-9",
        "Saved: b * c; In all: a + s1",
    ),
    "rolls": _template(
        "A baker makes {a} rolls. He sells half of them in the morning and {b} in the afternoon. How many rolls are "
        "left?",
        "a 20-100, b 3-40",
        "Morning: a / 2; Left: s1 - b",
    ),
    "club": _template(
        "There are {a} girls and {b} boys in a sports club. The coach makes teams of {c} players. How many teams "
        "are there?",
        "a 6-50, b 6-50, c 3-9",
        "Players: a + b; Teams: s1 / c",
    ),
    "market": _template(
        "{Name} buys {a} bags with {b} {fruits} each and {c} bags with {d} {fruits} each. How many {fruits} does "
        "{she} buy?",
        "a 2-6, b 3-9, c 2-6, d 3-9",
        "First bags: a * b; Other bags: c * d; In all: s1 + s2",
    ),
    "zoo": _template(
        "A ticket for the zoo costs {a} dollars for an adult and {b} dollars for a child. How many dollars do {c} "
        "adults and {d} children pay together?",
        "a 6-12, b 2-6, c 2-5, d 2-8",
        "Adults: a * c; Children: b * d; Together: s1 + s2",
    ),
    "three days": _template(
        "{Name} reads {a} pages on Monday. On Tuesday {she} reads {b} pages more than on Monday, and on Wednesday "
        "{she} reads {c} pages. How many pages does {she} read on the three days?",
        "a 5-30, b 2-15, c 5-30",
        "Tuesday: a + b; Two days: a + s1; Three days: s2 + c",
    ),
    "cookies": _template(
        "{Name} bakes {a} trays of {b} cookies. The family eats {c} cookies, and {she} packs the others into bags "
        "of {d}. How many bags does {she} fill?",
        "a 2-8, b 6-14, c 2-20, d 2-9",
        "Baked: a * b; Others: s1 - c; Bags: s2 / d",
    ),
    "car park": _template(
        "A car park has {a} floors with {b} spaces each. In the morning {c} cars come, and at noon {d} more. How "
        "many spaces are free then?",
        "a 2-5, b 12-30, c 5-40, d 5-40",
        "Spaces: a * b; Cars: c + d; Free: s1 - s2",
    ),
    "ribbon": _template(
        "A ribbon is {a} inches long. {Name} cuts off {b} pieces of {c} inches each and then one piece of {d} "
        "inches. How many inches of ribbon are left?",
        "a 50-100, b 2-6, c 3-12, d 2-20",
        "Pieces: b * c; Then: a - s1; Left: s2 - d",
    ),
    "wages": _template(
        "{Name} earns {a} dollars an hour. {She} works {b} hours on Saturday and {c} hours on Sunday, and then "
        "spends {d} dollars. How many dollars does {she} have left?",
        "a 6-12, b 2-6, c 2-6, d 4-50",
        "Hours: b + c; Earned: a * s1; Left: s2 - d",
    ),
    "fewer": _template(
        "{Name} has {a} {things}. {friend} has {b} {things} fewer than {Name}, and {third} has twice as many as "
        "{friend}. How many {things} do {friend} and {third} have together?",
        "a 8-40, b 2-20",
        "{friend}: a - b; {third}: s1 * 2; Together: s1 + s2",
    ),
    "library": _template(
        "A shelf has {a} boards with {b} books on each. On Monday {c} books are borrowed, and on Tuesday {d} books "
        "come back. How many books are on the shelf then?",
        "a 3-6, b 8-16, c 4-30, d 2-20",
        "Books: a * b; Monday: s1 - c; Tuesday: s2 + d",
    ),
    "eggs": _template(
        "{Name} has {a} hens, and each hen lays {b} eggs a week. {She} uses {c} eggs in the kitchen and sells the "
        "others in cartons of {d}. How many cartons does {she} sell in a week?",
        "a 4-16, b 3-6, c 2-20, d 4-10",
        "Eggs: a * b; To sell: s1 - c; Cartons: s2 / d",
    ),
    "trip": _template(
        "The {a} classes of a school have {b} children each. On the day of a trip {c} children are ill. The others "
        "go with {d} teachers, in vans of {e} seats, and every seat is taken. How many vans are there?",
        "a 2-4, b 12-28, c 2-9, d 3-9, e 5-9",
        "Children: a * b; Come: s1 - c; All: s2 + d; Vans: s3 / e",
    ),
    "stall": _template(
        "{Name} sells {a} cakes at {b} dollars each and {c} cups of tea at {d} dollars each. {She} has paid {e} "
        "dollars for what {she} needed. How many dollars does {she} gain?",
        "a 3-9, b 3-8, c 3-9, d 2-4, e 5-30",
        "Cakes: a * b; Tea: c * d; Sales: s1 + s2; Gain: s3 - e",
    ),
    "cousins": _template(
        "{Name} has {a} {boxes} with {b} {things} in each. {She} buys {c} more {things}, gives {d} to {friend} and "
        "shares the rest equally among {e} cousins. How many {things} does each cousin get?",
        "a 2-6, b 4-14, c 2-20, d 2-20, e 2-8",
        "In all: a * b; More: s1 + c; Rest: s2 - d; Each: s3 / e",
    ),
    "garden": _template(
        "A garden has {a} rows of {b} tulips and {c} rows of {d} roses. A storm breaks {e} of the flowers. How many "
        "flowers are left?",
        "a 2-6, b 4-9, c 2-6, d 4-9, e 3-20",
        "Tulips: a * b; Roses: c * d; Flowers: s1 + s2; Left: s3 - e",
    ),
    "tank": _template(
        "There are {a} liters of water in a tank. {Name} takes out {b} buckets of {c} liters each. Rain brings {d} "
        "liters, and then {she} uses {e} liters for the flowers. How many liters are in the tank then?",
        "a 50-90, b 2-5, c 4-10, d 5-30, e 3-20",
        "Buckets: b * c; Then: a - s1; Rain: s2 + d; Flowers: s3 - e",
    ),
    "training": _template(
        "{Name} runs {a} miles on each of {b} days and cycles {c} miles on each of {d} days. {friend} walks {e} "
        "miles in all. How many miles more than {friend} does {Name} do?",
        "a 2-6, b 2-5, c 5-12, d 2-5, e 4-30",
        "Running: a * b; Cycling: c * d; {Name}: s1 + s2; More: s3 - e",
    ),
    "holiday": _template(
        "{Name} has {a} dollars. {She} earns {b} dollars a day for {c} days and then buys {d} tickets for {e} "
        "dollars each. How many dollars does {she} have left?",
        "a 5-40, b 4-10, c 2-6, d 2-6, e 4-10",
        "Earned: b * c; In all: a + s1; Tickets: d * e; Left: s2 - s3",
    ),
    "collection": _template(
        "{Name} has {a} {things}. {friend} has twice as many, and {third} has {b} more than {friend}. How many "
        "{things} do the three have together?",
        "a 3-18, b 2-12",
        "{friend}: a * 2; {third}: s1 + b; Two of them: a + s1; Three: s2 + s3",
    ),
}
BENCHMARK = {
    "train": _template(
        "A train has {a} cars with {b} seats each, and {c} seats are taken. How many seats are free?",
        "a 2-6, b 10-24, c 5-60",
        "Seats: a * b; Free: s1 - c",
    ),
    "beach": _template(
        "{Name} finds {a} shells on the beach, and {friend} finds {b} shells fewer than {Name}. How many shells do "
        "they find together?",
        "a 10-50, b 2-30",
        "{friend}: a - b; Together: a + s1",
    ),
    "rope": _template(
        "A rope is {a} feet long. {Name} cuts off {b} feet and divides the rest into {c} pieces of equal length. "
        "How many feet long is each piece?",
        "a 20-100, b 2-30, c 2-9",
        "Rest: a - b; Piece: s1 / c",
    ),
    "homework": _template(
        "Every evening {Name} works {a} minutes for mathematics and {b} minutes for English. How many minutes does "
        "{she} work in {c} evenings?",
        "a 5-25, b 5-25, c 2-6",
        "Evening: a + b; In all: s1 * c",
    ),
    "cinema": _template(
        "A cinema has {a} rows of {b} seats. It sells {c} tickets on the internet and {d} tickets at the door. How "
        "many seats stay empty?",
        "a 4-9, b 6-12, c 5-40, d 5-40",
        "Seats: a * b; Tickets: c + d; Empty: s1 - s2",
    ),
    "pens": _template(
        "{Name} goes to a shop with {d} dollars and buys {a} pens for {b} dollars each and a bag for {c} dollars. "
        "How many dollars does {she} bring home?",
        "d 40-100, a 2-8, b 2-5, c 8-30",
        "Pens: a * b; Spent: s1 + c; Home: d - s2",
    ),
    "farm": _template(
        "A farm has {a} cows and three times as many sheep. The farmer sells {b} of the sheep. How many cows and "
        "sheep are there then?",
        "a 4-25, b 2-40",
        "Sheep: a * 3; Kept: s1 - b; In all: a + s2",
    ),
    "pickers": _template(
        "{Name} picks {a} {fruits}, {friend} picks {b} and {third} picks {c}. They fill baskets with {d} {fruits} "
        "each. How many baskets do they fill?",
        "a 5-40, b 5-40, c 5-40, d 3-9",
        "Two of them: a + b; All: s1 + c; Baskets: s2 / d",
    ),
    "restaurant": _template(
        "A restaurant has {a} tables for {b} guests and {c} tables for {d} guests. Tonight {e} guests are there. "
        "How many more guests could sit down?",
        "a 2-8, b 2-6, c 2-8, d 4-8, e 5-50",
        "First tables: a * b; Other tables: c * d; Seats: s1 + s2; More: s3 - e",
    ),
    "pocket money": _template(
        "{Name} has {a} dollars. Every week {she} gets {b} dollars and spends {c} dollars of them. After {d} weeks "
        "{she} buys a game for {e} dollars. How many dollars does {she} own then?",
        "a 5-40, b 6-15, c 2-9, d 2-9, e 8-40",
        "A week: b - c; Saved: s1 * d; In all: a + s2; Then: s3 - e",
    ),
    "loaves": _template(
        "A bakery makes {a} loaves an hour for {b} hours. It burns {c} loaves, sells {d} itself and sends the rest "
        "in equal parts to {e} shops. How many loaves does each shop get?",
        "a 8-24, b 2-6, c 2-9, d 5-40, e 2-6",
        "Made: a * b; Good: s1 - c; Rest: s2 - d; Shop: s3 / e",
    ),
    "ages": _template(
        "{Name} is {a} years old. {friend} is twice as old as {Name}, and {third} is {b} years younger than "
        "{friend}. What is the sum of the three ages, in years?",
        "a 5-22, b 2-12",
        "{friend}: a * 2; {third}: s1 - b; Two of them: a + s1; Three: s3 + s2",
    ),
}
