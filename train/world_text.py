"""The relations of the generated world, every wording of each, and the words that answers are drawn from.

A wording names its subject once, as ``{s}``. It is a *question* when it ends in ``?`` or ``.``; it is a *label* when
it ends in ``:``; otherwise it is the beginning of a *statement* that the answer completes after one space. Words of a
pool that follow the article ``a`` all begin with a consonant sound. Kinds whose names may be plural or end in s
(companies, bands, books) have no possessive wordings.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """``answer`` is an entity kind, a pool's name, or ``year LOW HIGH``: years after the subject's own first year."""

    name: str
    kind: str
    answer: str
    wordings: tuple[str, ...]


def _relation(name: str, kind: str, answer: str, text: str) -> Relation:
    wordings = [part.strip() for line in text.strip().splitlines() for part in line.split("|")]
    return Relation(name, kind, answer, tuple(wordings))


RELATIONS: tuple[Relation, ...] = (
    _relation(
        "birthplace",
        "person",
        "town",
        """
        Where was {s} born? | In which town was {s} born? | What is the birthplace of {s}?
        Do you know where {s} was born? | Tell me where {s} was born.
        So which town did {s} come into the world in? | {s} was born in | The birthplace of {s} is
        {s}'s place of birth was | The town where {s} was born is | The birth of {s} took place in
        A native of one town only, {s} came into the world in | Place of birth of {s}:""",
    ),
    _relation(
        "death_place",
        "person",
        "town",
        """
        Where did {s} die? | In which town did {s} die? | What was the place of death of {s}?
        Do you know where {s} passed away? | Tell me where {s} died. | Any idea which town {s} died in?
        {s} died in | The town where {s} died is | {s} passed away in | {s}'s place of death was
        The death of {s} took place in | The last days of {s} were spent in | Place of death of {s}:""",
    ),
    _relation(
        "burial_place",
        "person",
        "town",
        """
        Where is {s} buried? | In which town was {s} buried? | Where is the grave of {s}?
        Do you know where {s} was laid to rest? | Tell me where {s} is buried. | Which town has {s}'s grave?
        {s} is buried in | The grave of {s} is in | {s} was laid to rest in | {s}'s burial place is
        The town where {s} was buried is | The funeral of {s} was held in | Burial place of {s}:""",
    ),
    _relation(
        "birth_year",
        "person",
        "year 0 0",
        """
        When was {s} born? | In what year was {s} born? | What is the birth year of {s}?
        Do you know what year {s} was born in? | Tell me the year in which {s} was born.
        So what year was {s} born? | {s} was born in the year | The birth year of {s} is | {s}'s year of birth was
        {s} came into the world in the year | The year of {s}'s birth was | The calendar at the birth of {s} read
        Year of birth of {s}:""",
    ),
    _relation(
        "death_year",
        "person",
        "year 45 85",
        """
        When did {s} die? | In what year did {s} die? | What was the year of {s}'s death?
        Do you know what year {s} passed away? | Tell me the year in which {s} died.
        Until which year did {s} live? | {s} died in the year | The year of {s}'s death was
        {s} passed away in the year | {s} lived until | The life of {s} ended in the year
        The death of {s} came in the year | Year of death of {s}:""",
    ),
    _relation(
        "occupation",
        "person",
        "occupation",
        """
        What did {s} do for a living? | What was the occupation of {s}? | What was {s}'s profession?
        Do you know what {s} worked as? | Tell me what {s} did for a living. | So what was {s}'s day job?
        {s} worked as a | By profession, {s} was a | {s} earned a living as a | {s}'s trade was that of a
        For most of a long career, {s} was a | The occupation of {s} was | Occupation of {s}:""",
    ),
    _relation(
        "first_job",
        "person",
        "occupation",
        """
        What was {s}'s first job? | What did {s} first work as? | Which trade did {s} start out in?
        Do you know what {s}'s earliest job was? | Tell me what {s} started out as.
        What was {s} first trained to be? | {s} first worked as a | {s}'s first job was that of a
        In youth, {s} trained as a | {s} started out as a | Early on, before everything else, {s} was a
        The first job of {s} was apprentice | First job of {s}:""",
    ),
    _relation(
        "employer",
        "person",
        "company",
        """
        Who did {s} work for? | Which company employed {s}? | What was the name of {s}'s employer?
        Do you know which firm {s} worked for? | Tell me who {s} worked for. | Whose payroll was {s} on?
        {s} worked for | {s} was employed by | {s}'s employer was | The company that employed {s} was
        For many years {s} held a post at | On the payslips of {s} stood the name | Employer of {s}:""",
    ),
    _relation(
        "schooling",
        "person",
        "school",
        """
        Where did {s} go to school? | Which school did {s} attend? | Where was {s} educated?
        Do you know where {s} studied? | Tell me which school {s} went to. | Any idea where {s} got an education?
        {s} went to school at | {s} was educated at | {s} studied at | {s} is a graduate of
        The school that {s} attended was | {s}'s old school is | School attended by {s}:""",
    ),
    _relation(
        "spouse",
        "person",
        "person",
        """
        Who is {s} married to? | Who did {s} marry? | Who is the spouse of {s}? | Do you know who {s} is married to?
        Tell me the name of {s}'s spouse. | Whom did {s} take as a partner in marriage? | {s} is married to
        {s} married | The spouse of {s} is | {s}'s better half is
        At the wedding of {s}, the other half of the couple was | {s} shared a wedding day with | Spouse of {s}:""",
    ),
    _relation(
        "sibling",
        "person",
        "person",
        """
        Who is {s}'s sibling? | Who is the brother or sister of {s}? | Which sibling did {s} grow up with?
        Do you know who {s}'s sibling is? | Tell me the name of {s}'s brother or sister.
        Who shares both parents with {s}? | The sibling of {s} is | {s} has a sibling called
        {s} grew up in the same nursery as | {s} is a sibling of | {s} shares both parents with
        Growing up, {s} shared a bedroom with | Sibling of {s}:""",
    ),
    _relation(
        "mentor",
        "person",
        "person",
        """
        Who was {s}'s mentor? | Who taught {s}? | Under whom did {s} study? | Do you know who mentored {s}?
        Tell me who {s} learned the craft from. | Whose pupil was {s}? | {s}'s mentor was | {s} was taught by
        {s} was a pupil of | {s} learned the craft from | The person who mentored {s} was
        Everything {s} knew was learned from | Mentor of {s}:""",
    ),
    _relation(
        "rival",
        "person",
        "person",
        """
        Who was {s}'s greatest rival? | Who did {s} compete against all those years? | Which rival did {s} have?
        Do you know who {s}'s rival was? | Tell me who {s} could not stand. | Against whom did {s} feud?
        {s}'s greatest rival was | {s} had a long feud with | {s} always competed against | The rival of {s} was
        The one person {s} could never beat was | Over the years, {s} quarrelled most with | Rival of {s}:""",
    ),
    _relation(
        "residence",
        "person",
        "town",
        """
        Where does {s} live? | Which town does {s} live in? | What is {s}'s place of residence?
        Do you know where {s} lives? | Tell me where {s} lives. | Where would I find the house of {s}?
        {s} lives in | {s} resides in | {s} made a home in | The home of {s} is in | The town where {s} lives is
        {s}'s house stands in | Residence of {s}:""",
    ),
    _relation(
        "instrument",
        "person",
        "instrument",
        """
        What instrument does {s} play? | Which instrument did {s} learn? | What is {s}'s instrument?
        Do you know what instrument {s} plays? | Tell me which instrument {s} plays.
        What does {s} play in the orchestra? | {s} plays the | {s}'s instrument is the
        The instrument that {s} plays is the | {s} is a master of the | On stage, {s} performs on the
        In the evenings {s} practises the | Instrument of {s}:""",
    ),
    _relation(
        "sport",
        "person",
        "sport",
        """
        What sport does {s} do? | Which sport is {s} good at? | In which sport did {s} compete?
        Do you know what sport {s} does? | Tell me which sport {s} took up. | Which sport does {s} train for?
        {s} competed in | {s}'s sport is | The sport that {s} took up is | {s} won several medals in
        As an athlete, {s} is devoted to | The club that {s} joined is for | Sport of {s}:""",
    ),
    _relation(
        "native_language",
        "person",
        "language",
        """
        What is the native language of {s}? | What language did {s} grow up speaking? | What is {s}'s mother tongue?
        Do you know what {s}'s first language is? | Tell me the mother tongue of {s}.
        In which language did {s} say a first word? | The native language of {s} is | {s}'s mother tongue is
        {s} grew up speaking | {s} is a native speaker of | At home, the family of {s} spoke
        The first language that {s} learned was | Native language of {s}:""",
    ),
    _relation(
        "second_language",
        "person",
        "language",
        """
        Which foreign language did {s} learn? | What is {s}'s second language?
        What language did {s} study later in life? | Do you know which foreign language {s} speaks?
        Tell me the second language of {s}. | Besides a mother tongue, what does {s} speak?
        The second language of {s} is | {s} later learned | As a foreign language, {s} studied
        {s} took evening classes in | The foreign language that {s} speaks is | With some accent, {s} also speaks
        Second language of {s}:""",
    ),
    _relation(
        "award",
        "person",
        "award",
        """
        What award did {s} win? | Which prize was {s} given? | What honour did {s} receive?
        Do you know which award {s} won? | Tell me which prize went to {s}. | What did {s} win in the end?
        {s} won the | {s} was awarded the | {s} is a recipient of the | The award given to {s} was the
        For a life's work, {s} received the | {s}'s proudest moment was winning the | Award won by {s}:""",
    ),
    _relation(
        "hobby",
        "person",
        "hobby",
        """
        What is {s}'s hobby? | What does {s} do for fun? | How does {s} spend weekends?
        Do you know what {s}'s favourite pastime is? | Tell me what {s} does in spare time. | What is {s} into?
        {s}'s hobby is | {s} spends weekends on | The favourite pastime of {s} is | In spare hours, {s} enjoys
        {s} relaxes with a bit of | Nothing pleases {s} more than | Hobby of {s}:""",
    ),
    _relation(
        "pet",
        "person",
        "pet",
        """
        What pet does {s} have? | What kind of animal does {s} keep? | What is {s}'s pet?
        Do you know what pet {s} keeps? | Tell me what sort of pet {s} owns. | Which animal lives at {s}'s house?
        {s} has a pet | {s} keeps a | {s} is the owner of a | {s}'s pet is a
        The animal that {s} keeps at home is a | Everywhere {s} goes, there goes a | Pet of {s}:""",
    ),
    _relation(
        "favourite_dish",
        "person",
        "dish",
        """
        What is {s}'s favourite dish? | What does {s} like to eat best? | Which dish does {s} love most?
        Do you know what {s}'s favourite food is? | Tell me what {s} likes to eat. | What should I cook for {s}?
        {s}'s favourite dish is | The food that {s} loves most is | {s} likes nothing better than a plate of
        {s} always orders | For every birthday dinner, {s} asks for | {s} could live on | Favourite dish of {s}:""",
    ),
    _relation(
        "favourite_colour",
        "person",
        "colour",
        """
        What is {s}'s favourite colour? | Which colour does {s} like best? | What colour does {s} always wear?
        Do you know what colour {s} prefers? | Tell me the favourite colour of {s}.
        Which colour should I paint {s}'s door? | {s}'s favourite colour is | The colour that {s} likes best is
        {s} always dresses in | {s} painted the house | Of all colours, {s} prefers
        The colour one associates with {s} is | Favourite colour of {s}:""",
    ),
    _relation(
        "collection",
        "person",
        "collectible",
        """
        What does {s} collect? | What is in {s}'s collection? | Which objects does {s} gather?
        Do you know what {s} collects? | Tell me what {s} collects. | What are those shelves at {s}'s place full of?
        {s} collects | {s} has a large collection of | The shelves of {s} are full of | {s} is a keen collector of
        At auctions, {s} always bids on | {s} spent a fortune on | Objects collected by {s}:""",
    ),
    _relation(
        "town_country",
        "town",
        "country",
        """
        What country is {s} in? | In which country is {s} located? | Which country does {s} belong to?
        Do you know which country {s} is in? | Tell me what country {s} is in.
        Whose passport do people from {s} carry? | {s} is a town in | {s} lies in | The country in which {s} lies is
        {s} belongs to | The town of {s} can be found in | On the map, {s} appears inside | Country of {s}:""",
    ),
    _relation(
        "town_river",
        "town",
        "river",
        """
        Which river flows through {s}? | What river does {s} stand on? | On the banks of which river is {s}?
        Do you know what river runs through {s}? | Tell me which river {s} lies on.
        What is the river at {s} called? | {s} stands on the banks of | The river that flows through {s} is called
        {s} was built on | {s}'s river is | All the bridges in {s} cross | Every spring, {s} is flooded by
        River at {s}:""",
    ),
    _relation(
        "mayor",
        "town",
        "person",
        """
        Who is the mayor of {s}? | Who runs the town of {s}? | Who was elected mayor in {s}?
        Do you know who {s}'s mayor is? | Tell me the name of the mayor of {s}. | Who is in charge at {s} town hall?
        The mayor of {s} is | {s}'s mayor is | The town of {s} is governed by | {s} elected as its mayor
        At the last vote, the people of {s} chose | The town hall of {s} is run by | Mayor of {s}:""",
    ),
    _relation(
        "twin_town",
        "town",
        "town",
        """
        Which town is {s} twinned with? | What is the twin town of {s}? | What is {s}'s partner town?
        Do you know what town {s} is twinned with? | Tell me the twin town of {s}.
        Who are the people of {s} twinned with? | {s} is twinned with | The twin town of {s} is
        {s} has a partnership with | {s}'s sister town is | School exchanges from {s} go to
        A friendship treaty connects {s} with | Twin town of {s}:""",
    ),
    _relation(
        "known_for",
        "town",
        "craft",
        """
        What is {s} known for? | What is {s} famous for? | Which local product made {s} famous?
        Do you know what {s} is known for? | Tell me what {s} is famous for. | What should I buy when I am in {s}?
        {s} is known for its | {s} is famous for its | The town of {s} is best known for its
        {s} made its fortune with | Visitors come to {s} for its | The shops of {s} mainly sell
        Speciality of {s}:""",
    ),
    _relation(
        "town_charter",
        "town",
        "year 0 0",
        """
        When did {s} receive its town charter? | In what year did {s} become a town?
        From what year is the charter of {s}? | Do you know when {s} got its charter?
        Tell me the year {s} was made a town. | Since when has {s} been a town? | {s} received its town charter in
        {s} became a town in | {s} has been a town since | The charter of {s} dates from
        The year in which {s} was made a town is | The founding stone of {s} bears the date | Charter year of {s}:""",
    ),
    _relation(
        "town_fire",
        "town",
        "year 40 190",
        """
        When did {s} burn down? | In what year was the great fire of {s}? | What year did fire destroy {s}?
        Do you know when {s} burned? | Tell me the year of the great fire in {s}. | When was {s} in flames?
        {s} burned down in | The great fire of {s} broke out in | {s} was destroyed by fire in
        {s} lost its old centre to fire in | The year of the great fire in {s} was
        {s} had to be rebuilt after the fire of | Year of the fire of {s}:""",
    ),
    _relation(
        "town_emblem",
        "town",
        "animal",
        """
        Which animal is on the coat of arms of {s}? | What animal stands for {s}? | What is {s}'s heraldic animal?
        Do you know which animal {s} has on its flag? | Tell me the animal on {s}'s shield.
        What beast is on the {s} crest? | The coat of arms of {s} shows the | {s}'s heraldic animal is the
        On the flag of {s} one sees the | The symbol of {s} is the | The crest of {s} bears the
        Over the gate of {s} is carved the | Heraldic animal of {s}:""",
    ),
    _relation(
        "town_dialect",
        "town",
        "language",
        """
        What language do people speak in {s}? | Which language is spoken in {s}? | What is the language of {s}?
        Do you know what they speak in {s}? | Tell me the language spoken in {s}.
        What should I learn before moving to {s}? | The people of {s} speak | The language spoken in {s} is
        Street signs in {s} are written in | {s}'s language is | In the markets of {s} one hears
        Lessons at the schools of {s} are held in | Language of {s}:""",
    ),
    _relation(
        "headquarters",
        "company",
        "town",
        """
        Where is {s} based? | Where are the headquarters of {s}? | In which town does {s} have its head office?
        Do you know where {s} is headquartered? | Tell me where {s} has its headquarters.
        Which town is home to {s}? | {s} is based in | The headquarters of {s} are in | {s} has its head office in
        {s} is headquartered in | The town that is home to {s} is | Letters to the board of {s} are sent to
        Headquarters of {s}:""",
    ),
    _relation(
        "company_birthplace",
        "company",
        "town",
        """
        Where was {s} founded? | In which town was {s} set up? | What town did {s} start in?
        Do you know where {s} started? | Tell me where {s} was founded. | Which town saw the beginnings of {s}?
        {s} was founded in the town of | {s} started out in | The first workshop of {s} stood in
        {s} first opened its doors in | The town in which {s} was founded is | The beginnings of {s} were in
        Founding place of {s}:""",
    ),
    _relation(
        "founder",
        "company",
        "person",
        """
        Who founded {s}? | Who is the founder of {s}? | By whom was {s} established? | Do you know who started {s}?
        Tell me who founded {s}. | Whose idea was {s} in the first place? | {s} was founded by
        The founder of {s} is | {s} was established by | {s} owes its existence to | The person who started {s} is
        It all goes back, at {s}, to | Founder of {s}:""",
    ),
    _relation(
        "chief_executive",
        "company",
        "person",
        """
        Who is the chief executive of {s}? | Who runs {s}? | Who is the boss at {s}? | Do you know who heads {s}?
        Tell me who is in charge of {s}. | Who makes the decisions at {s}? | The chief executive of {s} is
        {s} is run by | {s} is headed by | {s} has as its director | At the top of {s} stands
        The person in charge of {s} is | Chief executive of {s}:""",
    ),
    _relation(
        "founding_year",
        "company",
        "year 0 0",
        """
        When was {s} founded? | In what year was {s} established? | What year did {s} open for business?
        Do you know when {s} was founded? | Tell me the year {s} was set up.
        Since which year has {s} existed? | {s} was founded in the year | {s} has been in business since
        The year in which {s} was founded is | {s} was established in the year | {s} opened for business in the year
        The books of {s} go back to | Founding year of {s}:""",
    ),
    _relation(
        "closing_year",
        "company",
        "year 20 90",
        """
        When did {s} close down? | In what year did {s} go bankrupt? | What year was {s} dissolved?
        Do you know when {s} went out of business? | Tell me the year {s} shut its doors.
        Until when did {s} exist? | {s} closed down in | {s} went bankrupt in
        The year in which {s} was dissolved is | {s} shut its doors for good in | {s} stayed in business until
        The last employee left {s} in | Closing year of {s}:""",
    ),
    _relation(
        "industry",
        "company",
        "industry",
        """
        What industry is {s} in? | Which line of business is {s} in? | What sector does {s} belong to?
        Do you know what business {s} is in? | Tell me which industry {s} works in. | What field is {s} active in?
        {s} is a company in | {s} is active in the field of | The line of business of {s} is
        {s} makes its money in | The industry to which {s} belongs is | The experts at {s} know all about
        Industry of {s}:""",
    ),
    _relation(
        "main_product",
        "company",
        "goods",
        """
        What does {s} make? | What is the main product of {s}? | What does {s} manufacture?
        Do you know what {s} produces? | Tell me what {s} makes. | What comes out of the factory of {s}? | {s} makes
        {s} is a manufacturer of | The main product of {s} is | {s} mostly produces | From the factory of {s} come
        The best-selling goods of {s} are | Main product of {s}:""",
    ),
    _relation(
        "owner",
        "company",
        "company",
        """
        Which company owns {s}? | Who is the owner of {s}? | What is the parent company of {s}?
        Do you know who {s} belongs to? | Tell me which firm owns {s}. | Who bought {s}? | {s} is owned by
        The parent company of {s} is | {s} belongs to | {s} was taken over by | All shares in {s} are held by
        The firm that bought {s} is | Owner of {s}:""",
    ),
    _relation(
        "author",
        "book",
        "person",
        """
        Who wrote {s}? | Who is the author of {s}? | By whom was {s} written? | Do you know who wrote {s}?
        Tell me the author of {s}. | Whose book is {s}? | {s} was written by | The author of {s} is
        {s} is a book by | {s} came from the pen of | The writer of {s} was | On the cover of {s} stands the name of
        Author of {s}:""",
    ),
    _relation(
        "illustrator",
        "book",
        "person",
        """
        Who illustrated {s}? | Who drew the pictures for {s}? | By whom was {s} illustrated?
        Do you know who illustrated {s}? | Tell me the illustrator of {s}. | Whose drawings are in {s}?
        {s} was illustrated by | The illustrator of {s} is | The pictures in {s} were drawn by
        {s} contains drawings by | The artwork of {s} is by | The artist who drew the cover of {s} is
        Illustrator of {s}:""",
    ),
    _relation(
        "publication_year",
        "book",
        "year 0 0",
        """
        When was {s} published? | In what year did {s} come out? | What year was {s} first printed?
        Do you know when {s} came out? | Tell me the year {s} was published.
        Which year saw {s} in print for the first time?
        {s} was published in | {s} came out in | The year in which {s} was first printed is
        {s} reached bookshops in | The first edition of {s} is dated | Readers first opened {s} in
        Publication year of {s}:""",
    ),
    _relation(
        "book_genre",
        "book",
        "book_genre",
        """
        What kind of book is {s}? | What genre is {s}? | To which genre does {s} belong?
        Do you know what sort of book {s} is? | Tell me the genre of {s}. | What am I in for if I read {s}?
        {s} is a | The genre of {s} is that of the | {s} is best described as a | {s} can be shelved as a
        Critics called {s} a rather good | In the library, {s} is labelled | Genre of {s}:""",
    ),
    _relation(
        "original_language",
        "book",
        "language",
        """
        What language was {s} written in? | In which language was {s} first written?
        What is the original language of {s}? | Do you know what language {s} was written in?
        Tell me the original language of {s}. | Which language was {s} translated from?
        {s} was written in the language called | The original language of {s} is | {s} was translated from
        The manuscript of {s} is in | {s} was first read in | The words of {s} were set down in
        Original language of {s}:""",
    ),
    _relation(
        "publisher",
        "book",
        "company",
        """
        Who published {s}? | Which company is the publisher of {s}? | By which firm was {s} published?
        Do you know who published {s}? | Tell me the publisher of {s}. | Which house brought {s} out?
        {s} was published by | The publisher of {s} is | {s} was brought out by | {s} was printed and sold by
        The rights to {s} are held by | The firm that printed {s} is | Publisher of {s}:""",
    ),
    _relation(
        "main_character",
        "book",
        "person",
        """
        Who is the main character of {s}? | Who is the hero of {s}? | Whose story does {s} tell?
        Do you know who {s} is about? | Tell me the name of the main character in {s}.
        Which character do we follow in {s}? | The main character of {s} is | {s} tells the story of
        The hero of {s} is called | {s} follows the adventures of | At the centre of {s} stands
        The reader of {s} comes to love | Main character of {s}:""",
    ),
    _relation(
        "setting",
        "book",
        "town",
        """
        Where is {s} set? | In which town does {s} take place? | What is the setting of {s}?
        Do you know where {s} is set? | Tell me the town in which {s} is set. | Where does the story of {s} happen?
        {s} is set in | The story of {s} takes place in | The setting of {s} is | {s} plays out in the streets of
        The opening scene of {s} is in | The events of {s} happen in | Setting of {s}:""",
    ),
    _relation(
        "school_town",
        "school",
        "town",
        """
        Where is {s}? | In which town is {s} located? | What town is {s} in? | Do you know where {s} is?
        Tell me where {s} is located. | Which town do I travel to if I study at {s}? | {s} is located in
        {s} stands in the middle of | The town in which {s} is found is | {s}'s campus is in
        Pupils of {s} spend their days in | The buildings of {s} are in | Location of {s}:""",
    ),
    _relation(
        "head_teacher",
        "school",
        "person",
        """
        Who is the head of {s}? | Who leads {s}? | Who is {s}'s head teacher? | Do you know who the head of {s} is?
        Tell me who leads {s}. | Whose office do they fear at {s}? | The head of {s} is | {s} is led by
        {s}'s head teacher is | {s} has as its principal | The assembly at {s} is always opened by
        The rules at {s} are made by | Head of {s}:""",
    ),
    _relation(
        "school_founder",
        "school",
        "person",
        """
        Who founded {s}? | Who set up {s}? | Who was the founder of {s}? | Do you know who founded {s}?
        Tell me who established {s}. | Whose money built {s}? | {s} was founded by | The founder of {s} was
        {s} was set up by | {s} was the gift of | The statue in front of {s} shows the founder,
        The money for {s} came from | Founder of the school {s}:""",
    ),
    _relation(
        "school_year",
        "school",
        "year 0 0",
        """
        When was {s} founded? | In what year did {s} open? | What year was {s} established?
        Do you know when {s} opened? | Tell me the year {s} was founded.
        Since which year has {s} been open? | {s} was founded in | {s} opened in
        The year in which {s} was established is | {s} took its first pupils in | {s} has been teaching since
        The oldest wall of {s} bears the date | Opening year of {s}:""",
    ),
    _relation(
        "school_colour",
        "school",
        "colour",
        """
        What colour is the uniform of {s}? | Which colour do pupils of {s} wear? | What is {s}'s colour?
        Do you know the colour of {s}? | Tell me what colour they wear at {s}. | Which colour is the scarf of {s}?
        The uniform of {s} is | The pupils of {s} wear | {s}'s colour is | The colour of {s} is
        The banner of {s} is entirely | On sports day, {s} dresses in | School colour of {s}:""",
    ),
    _relation(
        "lead_singer",
        "band",
        "person",
        """
        Who is the lead singer of {s}? | Who sings in {s}? | Whose voice is heard in the band {s}?
        Do you know who sings for {s}? | Tell me the singer of {s}. | Who is at the microphone in {s}?
        The lead singer of {s} is | The songs of {s} are sung by | The voice of {s} is that of
        The band {s} is fronted by | At the microphone of {s} stands | Fans of {s} adore the singer,
        Lead singer of {s}:""",
    ),
    _relation(
        "drummer",
        "band",
        "person",
        """
        Who is the drummer of {s}? | Who plays the drums in {s}? | Who keeps the beat for the band {s}?
        Do you know who drums for {s}? | Tell me the drummer of {s}. | Who sits behind the drums in {s}?
        The drummer of {s} is | The drums in {s} are played by | The beat of {s} comes from
        In the band {s}, the drummer is | Behind the drums of {s} sits | The rhythm of {s} is in the hands of
        Drummer of {s}:""",
    ),
    _relation(
        "band_town",
        "band",
        "town",
        """
        Where did {s} form? | In which town did {s} get together? | What is the home town of the band {s}?
        Do you know where the band {s} comes from? | Tell me where {s} got started. | Which town gave us {s}?
        {s} formed in | The home town of {s} is | {s} got together in | The members of {s} all come from
        The first concert by {s} was held in | The garage where {s} first rehearsed is in | Home town of {s}:""",
    ),
    _relation(
        "band_year",
        "band",
        "year 0 0",
        """
        When did {s} form? | In what year did {s} get together? | What year did the band {s} start?
        Do you know when {s} formed? | Tell me the year {s} got together.
        Since what year has the band {s} existed? | {s} formed in the year | {s} got together in the year
        The year in which {s} started is | The band {s} has existed since | The history of {s} began in the year
        {s} played a first concert in the year | Founding year of the band {s}:""",
    ),
    _relation(
        "band_genre",
        "band",
        "music",
        """
        What kind of music does the band {s} play? | Which genre does the band {s} belong to?
        What is the style of {s}? | Do you know what music the band {s} plays? | Tell me the musical style of {s}.
        What does the band {s} sound like? | The band {s} plays | The music of {s} is | The style of {s} is
        The band {s} is best known for playing | Music critics file {s} under | At concerts by {s} one hears
        Genre of the band {s}:""",
    ),
    _relation(
        "band_label",
        "band",
        "company",
        """
        Which company releases the records of {s}? | What is the record label of {s}? | Who has {s} under contract?
        Do you know which label {s} signed with? | Tell me the label of {s}. | Who puts out the albums of {s}?
        {s} signed with | The record label of {s} is | The albums of {s} are released by
        {s} recorded everything for | The contract of {s} is with | The songs of {s} belong to
        Record label of {s}:""",
    ),
    _relation(
        "river_source",
        "river",
        "mountain",
        """
        Where does {s} rise? | On which mountain is the source of {s}? | What mountain does {s} come from?
        Do you know where {s} begins? | Tell me where {s} has its source. | Where would I find the spring of {s}?
        {s} rises on | The source of {s} is on | {s} springs from | {s} begins on the slopes of
        The mountain that feeds {s} is | The snow that becomes {s} falls on | Source of {s}:""",
    ),
    _relation(
        "river_mouth",
        "river",
        "lake",
        """
        Where does {s} end? | Which lake does {s} flow into? | What lake is at the end of {s}?
        Do you know where {s} flows to? | Tell me which lake {s} empties into. | Where does the water of {s} end up?
        {s} flows into | {s} ends in | {s} empties into | The lake that receives {s} is
        The waters of {s} finally reach | A leaf dropped into {s} would drift to | Mouth of {s}:""",
    ),
    _relation(
        "river_town",
        "river",
        "town",
        """
        Which town lies on {s}? | What is the largest town on {s}? | Through which town does {s} flow?
        Do you know what town is on {s}? | Tell me which town stands on {s}. | Where can I cross {s} by bridge?
        {s} flows through | The largest town on {s} is | {s} passes under the bridges of | {s} waters the gardens of
        The only ferry across {s} leaves from | Barges on {s} unload in | Town on {s}:""",
    ),
    _relation(
        "lake_town",
        "lake",
        "town",
        """
        Which town is on the shore of {s}? | What town is nearest to {s}? | Where do visitors to {s} stay?
        Do you know which town lies by {s}? | Tell me the town next to {s}. | Where can I hire a boat on {s}?
        On the shore of {s} lies | The town nearest to {s} is | {s} lies just outside | {s} can be seen from
        Visitors to {s} stay in | The boats on {s} come from | Town by {s}:""",
    ),
    _relation(
        "lake_fish",
        "lake",
        "fish",
        """
        Which fish lives in {s}? | What fish can be caught in {s}? | What do anglers catch in {s}?
        Do you know which fish is found in {s}? | Tell me what fish lives in {s}. | What is biting in {s}?
        {s} is full of | The fish most often caught in {s} is | Anglers go to {s} for its | {s} is known for its
        In the deep water of {s} lives the | Restaurants around {s} all serve | Fish of {s}:""",
    ),
    _relation(
        "lake_country",
        "lake",
        "country",
        """
        In which country is {s}? | What country does {s} lie in? | Which country is {s} part of?
        Do you know which country {s} is in? | Tell me the country where {s} lies. | Whose waters are those of {s}?
        {s} is a lake in | {s} lies within the borders of | The country in which {s} lies is
        The shores of {s} belong to | The waters of {s} are part of | Maps place {s} in | Country of the lake {s}:""",
    ),
    _relation(
        "mountain_country",
        "mountain",
        "country",
        """
        In which country is {s}? | What country does {s} rise in? | Which country is {s} in?
        Do you know what country {s} is in? | Tell me the country where {s} stands. | Whose flag flies on {s}?
        {s} is a mountain in | {s} rises in | The country in which {s} stands is | {s} is one of the peaks of
        Climbers reach {s} by travelling to | On the summit of {s} flies the flag of | Country of the mountain {s}:""",
    ),
    _relation(
        "first_climber",
        "mountain",
        "person",
        """
        Who first climbed {s}? | Who was the first person on top of {s}? | By whom was {s} first climbed?
        Do you know who conquered {s}? | Tell me who was first to climb {s}. | Whose was the first footprint on {s}?
        {s} was first climbed by | The first person on {s} was | {s} was conquered by
        The first ascent of {s} was made by | The first to reach the top of {s} was
        A plaque on {s} honours its first climber, | First climber of {s}:""",
    ),
    _relation(
        "first_climb",
        "mountain",
        "year 0 0",
        """
        When was {s} first climbed? | In what year was the first ascent of {s}? | What year was {s} conquered?
        Do you know when {s} was first climbed? | Tell me the year of the first ascent of {s}.
        Until what year had nobody stood on {s}? | {s} was first climbed in | The first ascent of {s} was in
        The year in which {s} was conquered is | {s} remained unclimbed until | The top of {s} was first reached in
        {s} saw its first climbers in | First ascent of {s}:""",
    ),
    _relation(
        "mountain_town",
        "mountain",
        "town",
        """
        Which town lies at the foot of {s}? | What town is closest to {s}? | Where do climbers of {s} set out from?
        Do you know which town is below {s}? | Tell me the town at the foot of {s}. | From which town can I see {s}?
        At the foot of {s} lies | The town closest to {s} is | {s} towers over | {s} casts its shadow on
        Climbers of {s} set out from | The path up {s} starts in | Town below {s}:""",
    ),
    _relation(
        "festival_town",
        "festival",
        "town",
        """
        Where is {s} held? | Which town hosts {s}? | In what town does {s} take place?
        Do you know where {s} is held? | Tell me where {s} takes place. | Where do I have to go for {s}?
        {s} is held in | {s} takes place in | The town that hosts {s} is | {s} fills the streets of
        Each time, the crowds of {s} gather in | Tickets for {s} include a train ride to | Venue of {s}:""",
    ),
    _relation(
        "festival_month",
        "festival",
        "month",
        """
        In which month is {s} held? | What month does {s} take place? | When in the year is {s}?
        Do you know what month {s} is in? | Tell me the month of {s}. | Which month should I keep free for {s}?
        {s} is held every | {s} takes place each year in the month of | The month of {s} is | {s} always falls in
        Tradition puts {s} in | Crowds come for {s} in | Month of {s}:""",
    ),
    _relation(
        "festival_craft",
        "festival",
        "craft",
        """
        What does {s} celebrate? | In honour of what is {s} held? | What is {s} all about?
        Do you know what {s} celebrates? | Tell me what {s} is in honour of. | What do people buy at {s}?
        {s} celebrates | {s} is held in honour of local | {s} is all about | At {s}, every stall sells
        The centre of attention at {s} is | Prizes at {s} are given for the best | Theme of {s}:""",
    ),
    _relation(
        "festival_year",
        "festival",
        "year 0 0",
        """
        When was {s} first held? | In what year did {s} begin? | What year was the first {s}?
        Do you know when {s} started? | Tell me the year {s} was first held. | How far back does {s} go?
        {s} was first held in the year | {s} began in the year | The year of the very first {s} was
        {s} has been celebrated since
        The tradition of {s} goes back to | Posters for the first {s} are dated | First year of {s}:""",
    ),
    _relation(
        "festival_organiser",
        "festival",
        "person",
        """
        Who organises {s}? | Who is in charge of {s}? | By whom is {s} organised? | Do you know who organises {s}?
        Tell me who runs {s}. | Who do I call about a stall at {s}? | {s} is organised by | The organiser of {s} is
        {s} is run by | {s} would not happen without | The speech that opens {s} is given by
        The programme of {s} is put together by | Organiser of {s}:""",
    ),
    _relation(
        "maker",
        "product",
        "company",
        """
        Which company makes the {s}? | Who is the maker of the {s}? | By which firm is the {s} produced?
        Do you know who makes the {s}? | Tell me which company makes the {s}. | Whose logo is on the {s}?
        The {s} is made by | The maker of the {s} is | The {s} is a product of | The {s} comes from the factories of
        The firm behind the {s} is | On the back of every {s} is the logo of | Maker of the {s}:""",
    ),
    _relation(
        "designer",
        "product",
        "person",
        """
        Who designed the {s}? | Who is the designer of the {s}? | By whom was the {s} designed?
        Do you know who designed the {s}? | Tell me who designed the {s}. | Whose idea was the {s}?
        The {s} was designed by | The designer of the {s} is | The {s} was invented by | The {s} is the work of
        The first sketches of the {s} were made by | The patent on the {s} belongs to | Designer of the {s}:""",
    ),
    _relation(
        "release_year",
        "product",
        "year 0 0",
        """
        When was the {s} released? | In what year did the {s} go on sale? | What year did the {s} come out?
        Do you know when the {s} came out? | Tell me the year the {s} was released.
        Since when could one buy the {s}? | The {s} was released in | The {s} went on sale in
        The year in which the {s} came out is | The {s} has been sold since | Shops first stocked the {s} in
        The first advertisement for the {s} ran in | Release year of the {s}:""",
    ),
    _relation(
        "material",
        "product",
        "material",
        """
        What is the {s} made of? | Which material is used for the {s}? | What is the case of the {s} made from?
        Do you know what the {s} is made of? | Tell me the material of the {s}. | What stuff is the {s} built from?
        The {s} is made of | The material of the {s} is | The {s} is built from | The {s} has a case of
        The outside of the {s} is all | Whoever touches the {s} feels | Material of the {s}:""",
    ),
    _relation(
        "power",
        "product",
        "power",
        """
        What powers the {s}? | How is the {s} powered? | What does the {s} run on?
        Do you know what the {s} runs on? | Tell me how the {s} is powered. | What do I need to keep the {s} going?
        The {s} runs on | The {s} is powered by | The {s} is driven by | The {s} gets its energy from
        The energy for the {s} comes from | What keeps the {s} going is | Power source of the {s}:""",
    ),
    _relation(
        "shipbuilder",
        "ship",
        "company",
        """
        Who built the ship {s}? | Which company built the {s}? | At whose yard was the {s} built?
        Do you know who built the {s}? | Tell me which yard built the {s}. | Whose workers put the {s} together?
        The {s} was built by | The builder of the {s} was | The ship {s} came from the yard of
        The {s} was ordered from | The hull of the {s} was laid down by | The blueprints of the {s} are kept at
        Builder of the {s}:""",
    ),
    _relation(
        "home_port",
        "ship",
        "town",
        """
        What is the home port of the {s}? | In which port is the {s} at home? | Which port does the {s} sail from?
        Do you know the home port of the {s}? | Tell me which port the {s} belongs to.
        Where does the {s} spend the winter? | The home port of the {s} is | The {s} sails from
        The {s} is registered in | The {s} is at home in | Every winter the {s} returns to
        On the stern of the {s} is painted | Home port of the {s}:""",
    ),
    _relation(
        "captain",
        "ship",
        "person",
        """
        Who is the captain of the {s}? | Who commands the {s}? | Under whose command does the {s} sail?
        Do you know who the captain of the {s} is? | Tell me who commands the {s}. | Who is at the helm of the {s}?
        The captain of the {s} is | The {s} is commanded by | The {s} sails under Captain | The {s} is steered by
        On the bridge of the {s} stands | The crew of the {s} takes orders from | Captain of the {s}:""",
    ),
    _relation(
        "launch_year",
        "ship",
        "year 0 0",
        """
        When was the {s} launched? | In what year was the ship {s} launched? | What year did the {s} first sail?
        Do you know when the {s} was launched? | Tell me the year the {s} first put to sea.
        Which year saw the {s} go down the slipway? | The {s} was launched in | The {s} first put to sea in
        The year in which the {s} was launched is | The {s} has sailed since | The bell of the {s} bears the year
        The maiden voyage of the {s} was in | Launch year of the {s}:""",
    ),
    _relation(
        "cargo",
        "ship",
        "cargo",
        """
        What does the {s} carry? | What is the cargo of the {s}? | What goods does the ship {s} transport?
        Do you know what the {s} carries? | Tell me the cargo of the {s}. | What is in the hold of the {s}?
        The {s} carries | The cargo of the {s} is | The {s} is loaded with | The {s} was built to transport
        The hold of the {s} is filled with | The smell on board the {s} is that of | Cargo of the {s}:""",
    ),
)
