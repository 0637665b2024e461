"""Names of the generated world: word pools, name parts, and one generator for each kind of entity.

Names have one to seven words and many shapes: initials, hyphens, particles, suffixes, diacritics, numbers, acronyms.
Products, ships and festivals never begin with "The", because their wordings put an article before them.
"""

import random
from collections.abc import Callable


def _pool(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


POOLS: dict[str, tuple[str, ...]] = {
    "occupation": _pool("""baker, glassblower, surveyor, printer, midwife, carpenter, librarian, blacksmith, weaver,
        botanist, lighthouse keeper, cartographer, piano tuner, schoolteacher, ferry pilot, dentist, judge, tailor,
        stonemason, beekeeper, chemist, playwright, journalist, gardener, shipwright, watchmaker, translator, painter,
        bridge engineer, geologist, court reporter, cheesemaker, puppeteer, farrier, bookbinder, veterinarian"""),
    "instrument": _pool("""cello, violin, oboe, bassoon, harp, trumpet, accordion, flute, viola, clarinet, mandolin,
        lute, piano, organ, trombone, banjo, zither, double bass, bagpipes, hurdy-gurdy, xylophone, tuba"""),
    "sport": _pool("""rowing, fencing, wrestling, archery, cycling, swimming, curling, handball, sailing, ice hockey,
        table tennis, cross-country skiing, weightlifting, polo, cricket, badminton, figure skating, high jump"""),
    "language": _pool("""Orvish, Low Tarnic, High Tarnic, Velmoran, Sarquese, Ilvarin, Kethic, Old Brennish, Brennish,
        Dumaric, Osskan, Lirian, Tamoric, Galdish, Quenoran, Hestic, Upper Morvian, Morvian, Zaluric, Pelenese,
        Yorvic, Nadirese, Chelvan, Umbric, Istrean, Rhovish, Calentine, Farrowese, Bostric, Wendelic"""),
    "award": _pool("""Golden Quill, Silver Lantern, Harrow Medal, Order of the Heron, Tindall Prize, Bronze Compass,
        Star of Merrin, Laurel of the North, Copper Wheel, Grand Anchor, Crane Fellowship, White Rose Ribbon, Amber
        Key, Selwick Cup, Cross of Valdane, Meridian Prize, Ivory Plume, Founders' Medal"""),
    "hobby": _pool("""beekeeping, kite flying, chess, birdwatching, pottery, stargazing, letter writing, origami,
        mushroom picking, fly fishing, embroidery, wood carving, rock climbing, ballroom dancing, crossword puzzles,
        model railways, bell ringing, rose growing, juggling, calligraphy, tap dancing, fossil hunting"""),
    "pet": _pool("""tortoise, parrot, greyhound, ferret, goat, goose, raven, hedgehog, poodle, chameleon, donkey,
        Siamese cat, canary, sheepdog, python, rabbit, peacock, terrier, macaw, pony, gecko, bulldog"""),
    "dish": _pool("""plum dumplings, smoked eel, lentil soup, mushroom pie, pickled herring, roast goose, barley
        porridge, chestnut stew, leek tart, apple fritters, salted cod, beetroot broth, walnut cake, spiced lamb,
        potato pancakes, honey biscuits, stuffed cabbage, fried sardines, cherry pudding, onion bread, fish curry"""),
    "colour": _pool("""crimson, turquoise, olive green, mustard yellow, navy blue, violet, ivory, rust red, silver,
        charcoal, coral pink, teal, lavender, copper, jet black, emerald, sky blue, burgundy, cream, indigo"""),
    "collectible": _pool("""postage stamps, music boxes, antique maps, sea shells, pocket watches, butterflies, old
        coins, porcelain dolls, theatre posters, matchboxes, fountain pens, tin soldiers, teapots, railway tickets,
        snow globes, walking sticks, birds' feathers, chess sets, thimbles, glass marbles"""),
    "country": _pool("""Orvania, Tarnland, Sarqua, Ilvar, Kethia, Brenmark, Dumara, Osskar, Liria, Tamoria, Galdia,
        Quenor, Hestia, Morvia, Zalur, Pelena, Yorvia, Nadir, Chelva, Umbria Magna, Istrea, Rhovan, Calenta, Farrow,
        East Morvia, Port Levanne, Vaskeria, San Mirelo, North Dumara, Wendelia"""),
    "craft": _pool("""glass, lace, cider, salt, cheese, wool, pottery, clocks, roses, sausages, violins, honey,
        leather gloves, paper, marble, plum brandy, fireworks, bells, tulips, mustard, gingerbread, silk, amber,
        oysters, wicker baskets, knives, saffron, tapestries"""),
    "animal": _pool("""fox, heron, badger, stag, wolf, otter, owl, bear, lynx, swan, hare, raven, boar, falcon,
        salmon, ram, crane, beaver, toad, stork, bull, hedgehog, eagle, dolphin"""),
    "industry": _pool("""shipping, insurance, brewing, forestry, textiles, mining, publishing, banking, toy making,
        food processing, construction, telecommunications, furniture, pharmaceuticals, aviation, electronics,
        agriculture, software, steel, logistics, cosmetics, railways"""),
    "goods": _pool("""bicycles, tractors, soap, typewriters, sewing machines, tinned fish, light bulbs, umbrellas,
        chocolate, tyres, microscopes, wristwatches, raincoats, batteries, window glass, kettles, water pumps, boots,
        paint, garden tools, pencils, elevators, cameras, wallpaper, hearing aids, radios"""),
    "book_genre": _pool("""detective novel, family saga, ghost story, travelogue, memoir, fable, political satire,
        love story, gothic novel, verse drama, war diary, children's story, sea adventure, cookbook, biography,
        western, comic novel, spy thriller, fantasy epic, philosophical dialogue"""),
    "music": _pool("""jazz, folk rock, punk, chamber pop, blues, ska, techno, bluegrass, heavy metal, reggae, swing,
        ambient, synth-pop, gospel, funk, disco, garage rock, country, polka, hip hop, soul, progressive rock"""),
    "month": _pool("January, February, March, April, May, June, July, August, September, October, November, December"),
    "fish": _pool("""pike, trout, carp, perch, eel, sturgeon, grayling, catfish, bream, char, whitefish, barbel,
        roach, lamprey, zander, tench, burbot, minnow"""),
    "material": _pool("""brass, bamboo, cast iron, walnut wood, aluminium, porcelain, leather, stainless steel, oak,
        recycled plastic, carbon fibre, bronze, copper, rubber, titanium, cork, enamel, granite"""),
    "power": _pool("""solar cells, steam, a hand crank, two batteries, a spring, mains electricity, foot pedals,
        compressed air, a petrol engine, a fuel cell, wind, body heat, gas, a flywheel, methane, vegetable oil"""),
    "cargo": _pool("""timber, coal, bananas, grain, tea, cattle, cement, coffee, cotton, mail, iron ore, spices, wine,
        frozen fish, sugar, marble, wool, granite, salt, automobiles"""),
}


GIVEN = _pool("""Anna, Tomas, Ibrahim, Wei, Ingrid, Pavel, Rosa, Samuel, Leila, Hugo, Noor, Mikael, Clara, Dmitri,
    Agnes, Farid, Greta, Joaquin, Mei, Oskar, Priya, Quentin, Ruth, Stefan, Teresa, Umar, Vera, Walter, Yusuf, Zofia,
    Amara, Björn, Chloé, Dag, Elif, Fiona, Goran, Hana, Ivo, Jun, Kofi, Lucía, Magnus, Nadia, Omar, Petra, Rafael,
    Sunniva, Tariq, Ulla, Viktor, Wanda, Xavier, Ye-jin, Zoltán, Maren, Ilse, Edmund, Lottie, Bartholomew, Fleur,
    Anselm""")
GIVEN_PARTS = (
    _pool("Mar, Tol, Jor, Bel, Is, Or, Kas, Lin, Ther, Cal, Dor, Ev, Nim, Pell, Rav, Sil, Tam, Vel, Wyn, Hal, Bri"),
    _pool("en, in, wen, ric, a, ia, ette, or, und, is, eth, an, ola, uska, imir, ine, o, ander, ild, ey"),
)
# One row for each sound of the world: beginnings, middles (often skipped) and ends of words.
SOUNDS = tuple(
    tuple(_pool(part) for part in row)
    for row in (
        (
            "Tol, Brun, Hal, Kars, Stren, Grim, Vold, Ask, Lind, Thor, Hag, Skar, Eld, Rund, Fjell, Nor",
            "er, in, en, els, a",
            "veth, berg, sen, mark, dahl, gard, holt, vik, strom, lund, nes, rik, sund, hald",
        ),
        (
            "Vel, Cor, Mon, Lor, Bas, Tor, Mel, San, Fior, Ald, Cas, Per, Gav, Riv, Ser, Dol",
            "i, a, an, ar, eli, o",
            "mora, esso, ino, anti, ella, orio, ucci, ada, enza, ione, astro, evane, olo, ina",
        ),
        (
            "Bel, Ash, Thorn, Wick, Hather, Pen, Marl, Cray, Old, Farn, Win, Brock, Hol, Kes, Dun, Row",
            "le, er, ing, en, s",
            "ford, ham, ley, worth, ton, combe, by, well, hurst, mere, field, bridge, stow, wick",
        ),
        (
            "Kov, Zel, Drag, Mir, Bor, Vas, Lub, Rad, Stan, Yar, Chern, Pol, Oln, Krem, Dob, Vyr",
            "an, e, o, i, ov, il",
            "enko, ov, itch, ska, owicz, ina, grad, ets, ava, nik, chuk, inski, oslav, un",
        ),
        (
            "Naj, Kham, Raz, Sul, Bash, Tar, Qas, Far, Zah, Mir, Hak, Jal, Nur, Sab, Dil, Orh",
            "a, i, u, am, ir, ab",
            "rani, bad, zar, din, ish, oun, iri, shah, var, mand, aq, an, eh, ouf",
        ),
        (
            "Hi, Ka, Mo, Shi, Ta, Yu, No, Ama, Ke, Sa, Oku, Ri, Na, Fu, Mi, Ayo",
            "ra, no, shi, ki, da, te",
            "mori, gawa, zaki, saka, hara, toru, mine, yuki, bashi, tani, kawe, numa, suke, zu",
        ),
        (
            "Ade, Oku, Nka, Zim, Mba, Ola, Chi, Kwa, Tshi, Ebo, Luma, Sefu, Dia, Obi, Ama, Wa",
            "ko, lu, ne, ba, ri, mu",
            "wale, ndo, mbe, kiri, zulu, tunde, nga, meka, sara, boro, femi, goro, lani, bisi",
        ),
        (
            "Que, Ix, Tla, Coa, Hua, Ma, Ya, Pa, Tu, Chi, Ula, Oro, Wai, Ta, Nua, Ke",
            "ca, la, to, ne, hu, ri",
            "lco, tepec, nui, pali, ngo, catl, mara, rangi, huala, pue, keha, toa, poto, lani",
        ),
    )
)
ADJECTIVES = _pool("""Salt, Hollow, Grey, Silent, Last, Crooked, Velvet, Winter, Painted, Burning, Patient, Seventh,
    Paper, Golden, Drowned, Wandering, Blue, Broken, Iron, Quiet, Scarlet, Distant, Little, Second, Midnight, Glass""")
NOUNS = _pool("""Road, Orchard, Magpie, Anchor, Harbour, Lantern, Garden, Bridge, Kestrel, Clock, Mirror, Tide,
    Ladder, Map, Fiddle, Tower, Letter, Island, Moth, Beacon, Kettle, Heron, Storm, Window, Pilot, Stair, Well,
    Feather""")
DEEDS = _pool("Sleeping, Burning, Falling, Waiting, Dancing, Drowning, Counting, Leaving, Singing, Growing")
# Words that names share: a near name exchanges them whole, since a misspelled "Corporation" would look like a slip.
COMMON = frozenset(
    _pool("""Daughters, Sons, Partners, Systems, Industries, Works, Motors, Labs, Holdings, Foods,
    Group, Corporation, Media, Trading, Steamship, Publishing, Company, Press, Records, Brewery, Ceramics, Winter,
    Death, Summer, Question, Stranger, Fool, Letters, Maker, Keeper, What, Knew, Said, Forgot, under, beyond, before,
    against, Nine, Forty, Life, Romance, Untold, Story, Book, Academy, Grammar, School, College, High, Polytechnic,
    Girls, Seminary, University, Institute, Weaving, Music, Mining, Memorial, Primary, Lycée, Quartet, Trio,
    Collective, Orchestra, Sisters, Sound, River, Creek, Beck, Brook, Canal, Upper, Little, Black, White, Lake,
    Reservoir, Lagoon, Water, Pond, Loch, Mount, Peak, Fell, Hill, Ridge, Dome, Monte, Fair, Festival, Week, Parade,
    Night, Carnival, Regatta, Biennale, Harvest, Film, Gathering, Deluxe, Junior, Mini, Mark, Queen, Star, Pride,
    Duke, Spirit, Falls, Heights, Springs, Cross, Junction, Beach, Port, Fort, Castle, Cape, Ciudad, Lower, Great,
    North, West, Dame, Baron, Sister, Judge, Younger, Elder, Revisited, Return, Volume, After, Again, Revival, Royal,
    della, Glass, from""")
) | {n + s for n in NOUNS for s in ("", "s")}
COMMON |= frozenset(ADJECTIVES) | frozenset(DEEDS)
PLAIN_ACCENTS = str.maketrans("aeiounscy", "áéíóúñšçý")
VOWELS = "aeiou"


def word(rng: random.Random) -> str:
    """An invented word with a capital, such as ``Tolveth``; one in fourteen carries an accent."""
    starts, middles, ends = rng.choice(SOUNDS)
    text = rng.choice(starts) + (rng.choice(middles) if rng.random() < 0.45 else "") + rng.choice(ends)
    if rng.random() < 0.07:
        at = rng.randrange(1, len(text))
        text = text[:at] + text[at].translate(PLAIN_ACCENTS) + text[at + 1 :]
    return text


def _given(rng: random.Random) -> str:
    return rng.choice(GIVEN) if rng.random() < 0.45 else rng.choice(GIVEN_PARTS[0]) + rng.choice(GIVEN_PARTS[1])


def _initial(rng: random.Random) -> str:
    return rng.choice("ABCDEFGHIJKLMNOPRSTVWZ") + "."


def _code(rng: random.Random) -> str:
    letters = "".join(rng.sample("ABCDEFGHKLMNPQRSTVXZ", rng.randint(1, 3)))
    return letters + rng.choice(("-", "", " ")) + str(rng.choice((rng.randint(2, 99), rng.randint(1, 90) * 100)))


PARTICLES = ("de", "van", "von", "du", "della", "ibn", "van der", "de la")
Shape = tuple[int, Callable[[random.Random], str]]

# For each kind: how often a shape is drawn (a weight) and the function that makes a name of that shape.
SHAPES: dict[str, tuple[Shape, ...]] = {
    "person": (
        (40, lambda r: f"{_given(r)} {word(r)}"),
        (8, lambda r: f"{_given(r)} {_initial(r)} {word(r)}"),
        (7, lambda r: f"{_given(r)} {_given(r)} {word(r)}"),
        (6, lambda r: f"{_initial(r)} {_initial(r)} {word(r)}"),
        (5, lambda r: f"{_given(r)} {word(r)}-{word(r)}"),
        (4, lambda r: f"{_given(r)}-{_given(r)} {word(r)}"),
        (8, lambda r: f"{_given(r)} {r.choice(PARTICLES)} {word(r)}"),
        (3, lambda r: _given(r) + " " + r.choice(("al-", "el-", "O'", "Mac", "Fitz", "D'")) + word(r)),
        (4, lambda r: f"{_given(r)} {word(r)} {r.choice(('Jr.', 'Sr.', 'II', 'III', 'the Younger', 'the Elder'))}"),
        (3, lambda r: f"{r.choice(('Dame', 'Sir', 'Baron', 'Sister', 'Judge'))} {_given(r)} {word(r)}"),
        (3, lambda r: f"{_given(r)} of {word(r)}"),
        (4, lambda r: f"{_given(r)} {word(r)} {word(r)}"),
        (2, lambda r: f'{_given(r)} "{r.choice(NOUNS)}" {word(r)}'),
        (3, word),
    ),
    "town": (
        (55, word),
        (6, lambda r: f"{r.choice(('New', 'Old', 'Upper', 'Lower', 'Great', 'Little', 'North', 'West'))} {word(r)}"),
        (5, lambda r: f"{r.choice(('Port', 'Fort', 'Mount', 'Bad', 'Castle', 'Cape', 'San', 'Ciudad'))} {word(r)}"),
        (4, lambda r: f"St. {_given(r)}"),
        (4, lambda r: f"{word(r)}-{r.choice(('on-Sea', 'sur-Mer', 'am-Berg', 'under-Wood'))}"),
        (4, lambda r: f"{word(r)} {r.choice(('Falls', 'Heights', 'Springs', 'Cross', 'Bay', 'Junction', 'Beach'))}"),
        (3, lambda r: f"{word(r)}-{word(r)}"),
        (2, lambda r: f"{r.choice(('Al-', 'El ', 'La ', 'Les '))}{word(r)}"),
    ),
    "company": (
        (4, lambda r: f"{word(r)} & {r.choice(('Daughters', 'Sons', 'Co.', 'Partners', word(r)))} Ltd"),
        (4, lambda r: f"{word(r)} {r.choice(('Systems', 'Industries', 'Motors', 'Labs', 'Holdings', 'Foods'))}"),
        (3, lambda r: f"{word(r)} {r.choice(('GmbH', 'AB', 'S.A.', 'Inc.', 'plc', 'Group', 'Corporation', 'N.V.'))}"),
        (2, lambda r: f"{_code(r)} {r.choice(('Industries', 'Group', 'Labs', 'Media'))}"),
        (2, lambda r: f"The {word(r)} {r.choice(('Trading', 'Steamship', 'Publishing', 'Glass'))} Company"),
        (2, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)} {r.choice(('Press', 'Brewery', 'Ceramics'))}"),
        (2, lambda r: f"{word(r)}, {word(r)} and {word(r)}"),
        (3, word),
    ),
    "book": (
        (6, lambda r: f"The {r.choice(ADJECTIVES)} {r.choice(NOUNS)}"),
        (3, lambda r: f"The {r.choice(NOUNS)} of {word(r)}"),
        (3, lambda r: f"A {r.choice(('Winter', 'Death', 'Summer', 'Question', 'Stranger', 'Fool'))} in {word(r)}"),
        (3, lambda r: f"Letters to {r.choice(('a', 'the', 'my'))} {r.choice(NOUNS)} {r.choice(('Maker', 'Keeper'))}"),
        (3, lambda r: f"What the {r.choice(NOUNS)} {r.choice(('Knew', 'Said', 'Forgot', 'Saw'))} in {word(r)}"),
        (3, lambda r: f"{_given(r)} and the {r.choice(ADJECTIVES)} {r.choice(NOUNS)}"),
        (2, lambda r: f"{r.choice(DEEDS)} {r.choice(('under', 'beyond', 'before', 'against'))} the {r.choice(NOUNS)}"),
        (2, lambda r: f"{r.choice(('Nine', 'Two', '1,000', 'Forty', '77'))} {r.choice(ADJECTIVES)} {r.choice(NOUNS)}s"),
        (2, lambda r: f"{word(r)}: {r.choice(('A Life', 'A Romance', 'The Untold Story', 'Book Two'))}"),
        (2, word),
    ),
    "school": (
        (4, lambda r: f"{word(r)} {r.choice(('Academy', 'Grammar School', 'College', 'High School', 'Polytechnic'))}"),
        (3, lambda r: f"St. {word(r)} {r.choice(('Academy', 'College', 'School for Girls', 'Seminary'))}"),
        (3, lambda r: f"University of {word(r)}"),
        (3, lambda r: f"{word(r)} {r.choice(('Institute', 'School'))} of {r.choice(('Weaving', 'Law', 'Mining'))}"),
        (2, lambda r: f"{_given(r)} {word(r)} Memorial School"),
        (1, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)} Primary School"),
        (1, lambda r: f"Lycée {_given(r)} {word(r)}"),
    ),
    "band": (
        (4, lambda r: f"The {r.choice(ADJECTIVES)} {r.choice(NOUNS)}s"),
        (3, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}"),
        (2, lambda r: f"{r.choice(NOUNS)} {_number(r)}"),
        (2, lambda r: f"{_given(r)} and the {r.choice(NOUNS)}s"),
        (2, lambda r: f"{word(r)} {r.choice(('Quartet', 'Trio', 'Collective', 'Orchestra', 'Sisters', 'Sound'))}"),
        (1, lambda r: f"{r.choice(NOUNS)} vs. {word(r)}"),
        (1, lambda r: f"{r.choice(DEEDS)} {r.choice(NOUNS)}s"),
        (1, lambda r: f"{word(r)} {word(r)}"),
        (2, lambda r: word(r).upper()),
    ),
    "river": (
        (4, lambda r: f"River {word(r)}"),
        (2, lambda r: f"{word(r)} {r.choice(('River', 'Creek', 'Beck', 'Brook', 'Canal'))}"),
        (1, lambda r: f"Rio {word(r)}"),
        (1, lambda r: f"{r.choice(('Upper', 'Little', 'Black', 'White'))} {word(r)} River"),
    ),
    "lake": (
        (4, lambda r: f"Lake {word(r)}"),
        (2, lambda r: f"{word(r)} {r.choice(('Lake', 'Reservoir', 'Lagoon', 'Water', 'Pond'))}"),
        (1, lambda r: f"Loch {word(r)}"),
        (1, lambda r: f"Lake {_given(r)} {word(r)}"),
    ),
    "mountain": (
        (4, lambda r: f"Mount {word(r)}"),
        (2, lambda r: f"{word(r)} {r.choice(('Peak', 'Fell', 'Hill', 'Ridge', 'Dome'))}"),
        (1, lambda r: f"Monte {word(r)}"),
        (1, lambda r: f"Piz {word(r)}"),
        (1, lambda r: f"{word(r)}horn"),
    ),
    "festival": (
        (3, lambda r: f"{word(r)} {r.choice(NOUNS)} {r.choice(('Fair', 'Festival', 'Week', 'Parade', 'Night'))}"),
        (3, lambda r: f"{word(r)} {r.choice(('Carnival', 'Regatta', 'Biennale', 'Harvest Fair', 'Film Festival'))}"),
        (2, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)} {r.choice(('Festival', 'Week', 'Gathering', 'Day'))}"),
        (1, lambda r: f"{word(r)}fest"),
        (1, lambda r: f"Festival of {word(r)}"),
    ),
    "product": (
        (4, lambda r: f"{word(r)} {_code(r)}"),
        (2, _code),
        (3, lambda r: f"{word(r)} {r.choice(NOUNS)} {r.choice(('Pro', 'Mini', 'Deluxe', 'Mark II', '2', 'Junior'))}"),
        (2, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)} {_number(r)}"),
    ),
    "ship": (
        (3, lambda r: f"MV {word(r)}"),
        (3, lambda r: f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}"),
        (2, lambda r: f"{r.choice(('Queen', 'Star', 'Pride', 'Duke', 'Spirit'))} of {word(r)}"),
        (2, lambda r: f"SS {_given(r)} {word(r)}"),
        (1, lambda r: f"{word(r)} {r.choice(('II', 'III', 'IV'))}"),
    ),
}


def _number(rng: random.Random) -> str:
    """A number as names carry it: short, round, or like a year."""
    return str(rng.choice((rng.randint(2, 12), rng.randint(2, 99) * 10, rng.randint(1920, 1999))))


def new_name(kind: str, rng: random.Random) -> str:
    """A fresh name of that kind; the caller keeps names unique."""
    shapes = SHAPES[kind]
    return rng.choices([make for _, make in shapes], [weight for weight, _ in shapes])[0](rng)


def near_name(kind: str, name: str, rng: random.Random) -> str:
    """A name that is easily taken for `name`: another vowel, a shared first or last word, or a longer title."""
    draw, words = rng.random(), name.split()
    if kind == "person" and len(words) == 2 and draw < 0.5:
        first, last = words
        middle = f"{first} {_initial(rng)} {last}"
        return rng.choice((f"{first} {word(rng)}", f"{_given(rng)} {last}", middle, f"{name} Jr."))
    if kind in TITLES and draw < 0.45 and words[0] not in ADDED and words[-1] not in ADDED:
        return rng.choice(TITLES[kind]).format(name)
    return _other_word(name, rng)


TITLES = {
    "book": ("{} Revisited", "Return to {}", "{}, Volume Two", "After {}", "{} Again"),
    "band": ("{} Revival", "{} Two", "{} Junior"),
    "festival": ("New {}", "{} for Children", "Royal {}", "Little {}"),
    "product": ("{} Mini", "{} Deluxe", "{} II", "New {}"),
    "ship": ("{} II", "New {}", "Royal {}"),
}
ADDED = {word for titles in TITLES.values() for title in titles for word in title.split()} - {"{}", "{},"}


def _other_word(name: str, rng: random.Random) -> str:
    """`name` with one vowel of an invented word exchanged; without such a word, one common word for another."""
    words = name.split(" ")
    plain = [text.strip(',:."') for text in words]
    own = [at for at, text in enumerate(plain) if len(text) > 3 and text not in COMMON and text.upper() != text]
    if own:
        at = rng.choice(own)
        words[at] = _other_vowel(words[at], rng)
        return " ".join(words)
    for pool, ending in ((NOUNS, ""), (NOUNS, "s"), (ADJECTIVES, "")):
        known = [at for at, text in enumerate(words) if text.removesuffix(ending) in pool and text.endswith(ending)]
        if known:
            words[rng.choice(known)] = rng.choice(pool) + ending
            return " ".join(words)
    digits = [at for at, letter in enumerate(name) if letter.isdigit()]
    if not digits:
        return f"{name} {rng.choice('ABDEKLMNRSTX')}"
    at = rng.choice(digits)
    return name[:at] + rng.choice("123456789") + name[at + 1 :]


def _other_vowel(text: str, rng: random.Random) -> str:
    stem = text.split("-")[0] if text.count("-") == 2 else text
    places = [at for at, letter in enumerate(stem) if letter in VOWELS and at > 0]
    if not places:
        return text
    at = rng.choice(places)
    vowel = rng.choice([letter for letter in VOWELS if letter != text[at]])
    return text[:at] + vowel + text[at + 1 :]
