"""Wordings for the 24 relations of EntityQuestions.

The first of each relation is the upstream question; all others are this project's own. They follow the rules of
`train.relation`. Answers there come without an article ("United States of America", "actor"), so statements end
where a bare name or noun reads well.
"""


def _wordings(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for line in text.strip().splitlines() for part in line.split("|"))


TEMPLATES: dict[str, tuple[str, ...]] = {
    "P17": _wordings("""
        Which country is {s} located in? | What country is {s} in? | In which country can {s} be found?
        Do you know which country {s} belongs to? | Tell me the country of {s}.
        Which country would I travel to for {s}?
        The country of {s} is | The country in which {s} is located is | By country, {s} is listed under
        The state on whose territory {s} lies is | The country that is home to {s} is | Country of {s}:"""),
    "P19": _wordings("""
        Where was {s} born? | What is the place of birth of {s}? | In which place was {s} born?
        Do you know where {s} was born? | Tell me where {s} was born. | Where did {s} come into the world?
        {s} was born in | The birthplace of {s} is | {s} is a native of | The place where {s} was born is
        {s} came into the world in | Place of birth of {s}:"""),
    "P20": _wordings("""
        Where did {s} die? | What is the place of death of {s}? | In which place did {s} die?
        Do you know where {s} passed away? | Tell me where {s} died. | Where did the life of {s} end?
        {s} died in | The place where {s} died is | {s} passed away in | The death of {s} occurred in
        {s}'s life ended in | Place of death of {s}:"""),
    "P26": _wordings("""
        Who is {s} married to? | Who is the spouse of {s}? | Whom did {s} marry? | What is the name of {s}'s spouse?
        Do you know who {s} married? | Tell me who the husband or wife of {s} is.
        {s} is married to | The spouse of {s} is | {s} married | {s}'s husband or wife is
        The person {s} took in marriage is | Spouse of {s}:"""),
    "P36": _wordings("""
        What is the capital of {s}? | Which place is the capital of {s}? | Where is the seat of government of {s}?
        Do you know the capital of {s}? | Tell me the capital of {s}. | From which town or city is {s} governed?
        The capital of {s} is | The seat of government of {s} is | The administrative centre of {s} is
        {s} has its capital at | {s} is governed from | Capital of {s}:"""),
    "P40": _wordings("""
        Who is {s}'s child? | Who is the child of {s}? | What is the name of {s}'s son or daughter?
        Do you know the name of a child of {s}? | Tell me who the son or daughter of {s} is. | Who has {s} as a parent?
        The child of {s} is | {s} is the parent of | {s} has a child named | {s}'s son or daughter is
        One of the children of {s} is | Child of {s}:"""),
    "P50": _wordings("""
        Who is the author of {s}? | Who wrote {s}? | By whom was {s} written? | Which author is behind {s}?
        Do you know who wrote {s}? | Tell me who wrote {s}. | The author of {s} is | {s} was written by
        {s} is a work by | The person who wrote {s} is | {s} comes from the pen of | Author of {s}:"""),
    "P69": _wordings("""
        Where was {s} educated? | Which school or university did {s} attend? | Where did {s} study?
        Do you know where {s} studied? | Tell me where {s} was educated. | What is the alma mater of {s}?
        {s} was educated at | {s} studied at | The alma mater of {s} is | {s} is a former student of
        As a student, {s} attended | Education of {s}:"""),
    "P106": _wordings("""
        What kind of work does {s} do? | What is the occupation of {s}? | What is {s}'s profession?
        Do you know what {s} does for a living? | Tell me the profession of {s}. | What job is {s} known for?
        The occupation of {s} is | The profession of {s} is that of | {s} has the profession of
        By occupation, {s} is listed as | {s}'s line of work is | Occupation of {s}:"""),
    "P112": _wordings("""
        Who founded {s}? | Who is the founder of {s}? | By whom was {s} founded? | Who established {s}?
        Do you know who started {s}? | Tell me who founded {s}. | {s} was founded by | The founder of {s} is
        {s} was established by | {s} was started by | The person who brought {s} into being is | Founder of {s}:"""),
    "P127": _wordings("""
        Who owns {s}? | Who is the owner of {s}? | By whom is {s} owned? | Whose property is {s}?
        Do you know who {s} belongs to? | Tell me who owns {s}. | {s} is owned by | The owner of {s} is
        {s} is the property of | The party that owns {s} is | {s} is in the hands of | Owner of {s}:"""),
    "P131": _wordings("""
        Where is {s} located? | In which administrative area is {s}? | Which region or district is {s} part of?
        Do you know which district, county or city {s} is in? | Tell me the administrative area of {s}.
        What is the local government area around {s}?
        The administrative area of {s} is | {s} is administered as part of | {s} falls within the boundaries of
        The region or district in which {s} lies is | For administration, {s} belongs to
        Administrative area of {s}:"""),
    "P136": _wordings("""
        What type of music does {s} play? | What genre is {s}? | Which genre does {s} belong to?
        What is the style of {s}? | Do you know the genre of {s}? | Tell me the genre of {s}.
        The genre of {s} is | {s} belongs to the genre of | The style of {s} is | {s} is known in the field of
        By genre, {s} is listed under | Genre of {s}:"""),
    "P159": _wordings("""
        Where is the headquarter of {s}? | Where is {s} headquartered? | Where does {s} have its head office?
        Do you know where {s} is based? | Tell me where {s} has its headquarters. | From which place is {s} run?
        {s} is headquartered in | The headquarters of {s} are in | {s} has its head office in | {s} is based in
        The head office of {s} is in | Headquarters of {s}:"""),
    "P170": _wordings("""
        Who was {s} created by? | Who created {s}? | Who is the creator of {s}? | Who made {s}?
        Do you know who created {s}? | Tell me who the creator of {s} is. | {s} was created by | The creator of {s} is
        {s} is a creation of | {s} was first imagined by | The maker of {s} is | Creator of {s}:"""),
    "P175": _wordings("""
        Who performed {s}? | Who is the performer of {s}? | By whom was {s} performed? | Which artist recorded {s}?
        Do you know who performed {s}? | Tell me which artist or group {s} is by. | {s} was performed by
        The performer of {s} is | {s} was recorded by | The artist who performed {s} is | The artist behind {s} is
        Performer of {s}:"""),
    "P176": _wordings("""
        Which company is {s} produced by? | Which company makes {s}? | Who is the manufacturer of {s}?
        Who built {s}? | Do you know who manufactured {s}? | Tell me the manufacturer of {s}.
        {s} was manufactured by | The manufacturer of {s} is | {s} is a product of | The company that built {s} is
        {s} came out of the works of | Manufacturer of {s}:"""),
    "P264": _wordings("""
        What music label is {s} represented by? | Which record label released {s}? | What is the record label of {s}?
        Which label is {s} on? | Do you know the label of {s}? | Tell me which record label stands behind {s}.
        The record label of {s} is | {s} appeared on | {s} is represented by the label | The label behind {s} is
        The music company connected with {s} is | Record label of {s}:"""),
    "P276": _wordings("""
        Where is {s} located? | At what place is {s}? | What is the location of {s}? | Where does one find {s}?
        Do you know the location of {s}? | Tell me the location of {s}. | The location of {s} is
        The place of {s} is | Those looking for {s} should look in | {s} is to be found in
        The site of {s} is | Location of {s}:"""),
    "P407": _wordings("""
        Which language was {s} written in? | What is the language of {s}? | In what language is {s}?
        Which language does {s} use? | Do you know the language of {s}? | Tell me the original language of {s}.
        The language of {s} is | {s} was written in | {s} uses the language | The original language of {s} is
        The text of {s} is in | Language of {s}:"""),
    "P413": _wordings("""
        What position does {s} play? | In which position does {s} play? | What is the playing position of {s}?
        What is {s}'s role in the team? | Do you know which position {s} plays?
        Tell me the position of {s} in the game.
        The position of {s} is | {s} plays in the position of | {s}'s position on the team is
        {s}'s role in the team is
        On the team sheet, {s} is listed as | Playing position of {s}:"""),
    "P495": _wordings("""
        Which country was {s} created in? | What is the country of origin of {s}? | Which country does {s} come from?
        Where in the world was {s} made, in which country? | Do you know what country {s} is from?
        Tell me the country of origin of {s}. | The country of origin of {s} is | The country that produced {s} is
        The country {s} comes from is | The country in which {s} was created is
        By country of origin, {s} is listed under | Country of origin of {s}:"""),
    "P740": _wordings("""
        Where was {s} founded? | Where was {s} formed? | In which place did {s} start?
        Where does {s} originally come from?
        Do you know where {s} was founded? | Tell me where {s} was formed. | {s} was founded in | {s} was formed in
        The place where {s} was founded is | {s} had its beginnings in | {s} originated in
        Place of foundation of {s}:"""),
    "P800": _wordings("""
        What is {s} famous for? | What is the best-known work of {s}? | Which work made {s} famous?
        What is {s}'s most notable work? | Do you know a famous work of {s}? | Tell me what {s} is best known for.
        {s} is famous for | The best-known work of {s} is | {s} is best remembered for | A notable work of {s} is
        {s}'s most famous work is | Notable work of {s}:"""),
}
