"""Units of measure, money, and things counted: read as factors with powers, so that km/h is km per hour, and cm no m.

A unit is a sorted tuple of (name, power). Units are compared by name and are not converted: a problem asks in one. What
is counted must be a plural (12 apples), and no word among those that change a number or say more (NO_NOUNS).
"""

from polaris.grading.reading.tokens import Token

Unit = tuple[tuple[str, int], ...]

_SPELLINGS = {
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm cms centimeter centimeters centimetre centimetres 厘米",
    "dm": "dm decimeter decimeters decimetre decimetres 分米",
    "m": "m meter meters metre metres 米",
    "km": "km kms kilometer kilometers kilometre kilometres 千米 公里",
    "µm": "μm micrometer micrometers", "nm": "nm nanometer nanometers",
    "inch": "in inch inches", "ft": "ft foot feet", "yard": "yd yds yard yards", "mile": "mi mile miles",
    "mg": "mg milligram milligrams", "g": "g gram grams 克", "kg": "kg kgs kilogram kilograms 千克 公斤",
    "tonne": "tonne tonnes", "ton": "ton tons 吨", "lb": "lb lbs pound pounds", "oz": "oz ounce ounces",
    "ms": "ms millisecond milliseconds", "ns": "ns nanosecond nanoseconds",
    "s": "s sec secs second seconds 秒", "min": "min mins minute minutes 分钟 分鐘",
    "h": "h hr hrs hour hours 小时", "day": "day days 天 日", "week": "week weeks 周", "month": "month months",
    "year": "yr yrs year years 年",
    "L": "L l liter liters litre litres 升", "mL": "mL ml milliliter milliliters millilitre millilitres 毫升",
    "gallon": "gal gallon gallons", "quart": "qt quart quarts", "pint": "pint pints", "cup": "cup cups",
    "N": "N newton newtons", "kN": "kN", "Pa": "Pa pascal pascals", "kPa": "kPa", "MPa": "MPa", "atm": "atm",
    "bar": "bar bars", "J": "J joule joules", "kJ": "kJ", "MJ": "MJ", "cal": "cal calorie calories", "kcal": "kcal",
    "eV": "eV", "keV": "keV", "MeV": "MeV", "GeV": "GeV", "erg": "erg ergs", "W": "W watt watts", "kW": "kW",
    "MW": "MW", "kWh": "kWh", "V": "V volt volts", "mV": "mV", "A": "A amp amps ampere amperes", "mA": "mA",
    "C": "C coulomb coulombs", "ohm": "ohm ohms", "T": "T tesla teslas", "G": "gauss", "K": "K kelvin kelvins",
    "Hz": "Hz hertz", "kHz": "kHz", "MHz": "MHz", "GHz": "GHz", "mol": "mol mole moles", "dyn": "dyn dyne dynes",
    "dB": "dB decibel decibels", "pc": "pc parsec parsecs", "kpc": "kpc", "Mpc": "Mpc", "AU": "AU au",
    "ly": "ly", "acre": "acre acres", "hectare": "ha hectare hectares", "F": "farad farads",
    "$": "dollar dollars bucks USD usd", "cent": "cent cents ¢", "€": "euro euros EUR", "£": "GBP", "¥": "yen yuan 元",
    "角": "角", "rupee": "rupee rupees", "°": "degree degrees deg 度", "rad": "rad rads radian radians",
    "bit": "bit bits", "byte": "byte bytes", "rpm": "rpm", "person": "个人 人", "piece": "个 只",
    "%": "percent percents pct percentage 百分", "unit": "unit units", "%point": "pp",
}  # fmt: skip
_COMPOSED = {
    "mph": (("h", -1), ("mile", 1)), "kph": (("h", -1), ("km", 1)), "kmh": (("h", -1), ("km", 1)),
    "fps": (("ft", 1), ("s", -1)), "sqcm": (("cm", 2),), "sqm": (("m", 2),), "sqft": (("ft", 2),), "cc": (("cm", 3),),
}  # fmt: skip
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_POWERS = {"sq": 2, "square": 2, "cu": 3, "cubic": 3}
LETTERS = frozenset(name for name in _NAMES if len(name) == 1 and name.isascii())
UNIT_LETTERS = frozenset("msghLNJWVK")  # what else stands upright may be e, i, a point or a matrix
_NO_NOUNS_WORDS = """
    and or not nor no non neither either both but is are was were be been being equals if iff for all any each
    every some unless except when where while then else otherwise than to from through until of by per with
    without into at least most more less fewer greater smaller larger above below under over up down about plus
    minus times half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh
    sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths thousandth thousandths hundred
    hundreds thousand thousands million millions billion billions trillion trillions dozen dozens score scores
    pair pairs gross couple twice double triple squared cubed factorial mod modulo remainder choose base
    negative positive inverse reciprocal reciprocals power powers root roots log logs as this its has does
    versus vs unless always sometimes perhaps besides minuses one two three four five six seven eight nine ten
    twos threes fours fives sixes sevens eights nines tens ones zeros zero eleven twelve twenty thirty forty
    fifty sixty seventy eighty ninety twenties thirties wrong false true
"""
NO_NOUNS = frozenset(_NO_NOUNS_WORDS.split())
_PLURALS_WORDS = """
    people children men women mice dice fish sheep geese teeth persons
"""
_PLURALS = frozenset(_PLURALS_WORDS.split())


def parse_unit(tokens: tuple[Token, ...]) -> tuple[Unit, bool] | None:
    """The unit that the tokens spell whole, and whether it is one bare letter; None where they spell none."""
    factors: dict[str, int] = {}
    at, sign, power, bare = 0, 1, 1, False
    while at < len(tokens):
        token = tokens[at]
        if token.kind in ("/", "*") or token.kind == "word" and token.text == "per":
            sign = -1 if token.kind != "*" else 1
            at += 1
            if at == len(tokens):
                return None
            continue
        if token.kind == "." and at:
            at += 1
            continue
        if token.kind == "word" and token.text.casefold() in _POWERS:
            power, at = _POWERS[token.text.casefold()], at + 1
            continue
        found = _factor(tokens, at)
        if found is None:
            return None
        names, letter, at = found
        bare = bare or letter
        exponent, at = _exponent(tokens, at)
        for name, own in names:
            factors[name] = factors.get(name, 0) + sign * own * exponent * power
        sign = power = 1
    if not factors or bare and len(tokens) > 1:
        return None
    return tuple(sorted((name, exponent) for name, exponent in factors.items() if exponent)), bare


def _factor(tokens: tuple[Token, ...], at: int) -> tuple[Unit, bool, int] | None:
    """A factor: its names and powers, whether it is a bare letter, and where it ends."""
    token = tokens[at]
    if token.kind in ("%", "money"):
        return ((token.text, 1),), False, at + 1
    if token.kind == "cmd" and token.text == "degree" or token.kind == "^":
        return _degrees(tokens, at)
    if token.kind == "cmd" and token.text == "Omega":
        return (("ohm", 1),), False, at + 1
    if token.kind != "word":
        return None
    text = token.text
    if len(text) == 1 and text.isascii():
        if (
            token.style == ""
            and not token.blank
            or token.style == "roman"
            and not token.blank
            and (text not in UNIT_LETTERS)
        ):
            return None
        name = _NAMES.get(text)
        return None if name is None else (((name, 1),), token.style == "", at + 1)
    known = _COMPOSED.get(text) or _COMPOSED.get(text.casefold())
    if known is None and (name := _NAMES.get(text) or (_NAMES.get(text.casefold()) if len(text) > 2 else None)):
        known = ((name, 1),)
    if known is not None:
        if known == (("°", 1),) and at + 1 < len(tokens) and tokens[at + 1].kind == "word":
            return _degrees(tokens, at)
        return known, False, at + 1
    return _noun(tokens, at)


def _degrees(tokens: tuple[Token, ...], at: int) -> tuple[Unit, bool, int] | None:
    r"""^\circ, \degree and "degrees", with C or F after it."""
    if tokens[at].kind == "^":
        spelled = [token.text for token in tokens[at + 1 : at + 4]]
        if spelled[:1] == ["circ"]:
            at += 1
        elif spelled == ["{", "circ", "}"]:
            at += 3
        else:
            return None
    at += 1
    if at < len(tokens) and tokens[at].kind == "word":
        scale = tokens[at].text.casefold()
        if scale in ("c", "celsius", "f", "fahrenheit"):
            return ((f"°{scale[0].upper()}", 1),), False, at + 1
    return (("°", 1),), False, at


def _noun(tokens: tuple[Token, ...], at: int) -> tuple[Unit, bool, int] | None:
    """Words that say what is counted: adjectives, and a plural at last."""
    words: list[str] = []
    while at < len(tokens) and tokens[at].kind == "word" and tokens[at].text != "per":
        words.append(tokens[at].text.casefold())
        at += 1
    last = words[-1]
    plural = last in _PLURALS or len(last) > 3 and last[-1] == "s" and last[-2] not in "sui"
    if not plural or len(words) > 4 or any(word in NO_NOUNS or not word.isascii() for word in words):
        return None
    if _NAMES.get(last) is not None:
        return None
    return ((" ".join(words), 1),), False, at


def _exponent(tokens: tuple[Token, ...], at: int) -> tuple[int, int]:
    """The power after a factor, 1 where there is none, and where it ends."""
    if at < len(tokens) and tokens[at].kind == "^":
        rest = [token.text for token in tokens[at + 1 : at + 5]]
        if rest and rest[0].isdigit():
            return int(rest[0][:2]), at + 2
        if len(rest) > 2 and rest[0] == "{" and rest[1].isdigit() and rest[2] == "}":
            return int(rest[1][:2]), at + 4
        if len(rest) == 4 and rest[0] == "{" and rest[1] == "-" and rest[2].isdigit() and rest[3] == "}":
            return -int(rest[2][:2]), at + 5
    return 1, at


def names_unit(text: str) -> bool:
    """Whether a word of several letters is a unit's name or sign."""
    return len(text) > 1 and (text in _NAMES or text in _COMPOSED or len(text) > 2 and text.casefold() in _NAMES)
