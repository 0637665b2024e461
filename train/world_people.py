"""What the generated world says of people; the rules of a wording stand in `train.relation`."""

from train.relation import Relation, new_relation

PEOPLE: tuple[Relation, ...] = (
    new_relation(
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
    new_relation(
        "death_place",
        "person",
        "town",
        """
        Where did {s} die? | In which town did {s} die? | What was the place of death of {s}?
        Do you know where {s} passed away? | Tell me where {s} died. | Any idea which town {s} died in?
        {s} died in | The town where {s} died is | {s} passed away in | {s}'s place of death was
        The death of {s} took place in | The last days of {s} were spent in | Place of death of {s}:""",
    ),
    new_relation(
        "burial_place",
        "person",
        "town",
        """
        Where is {s} buried? | In which town was {s} buried? | Where is the grave of {s}?
        Do you know where {s} was laid to rest? | Tell me where {s} is buried. | Which town has {s}'s grave?
        {s} is buried in | The grave of {s} is in | {s} was laid to rest in | {s}'s burial place is
        The town where {s} was buried is | The funeral of {s} was held in | Burial place of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "occupation",
        "person",
        "occupation",
        """
        What did {s} do for a living? | What was the occupation of {s}? | What was {s}'s profession?
        Do you know what {s} worked as? | Tell me what {s} did for a living. | So what was {s}'s day job?
        {s} worked as a | By profession, {s} was a | {s} earned a living as a | {s}'s trade was that of a
        For most of a long career, {s} was a | The occupation of {s} was | Occupation of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "employer",
        "person",
        "company",
        """
        Who did {s} work for? | Which company employed {s}? | What was the name of {s}'s employer?
        Do you know which firm {s} worked for? | Tell me who {s} worked for. | Whose payroll was {s} on?
        {s} worked for | {s} was employed by | {s}'s employer was | The company that employed {s} was
        For many years {s} held a post at | On the payslips of {s} stood the name | Employer of {s}:""",
    ),
    new_relation(
        "schooling",
        "person",
        "school",
        """
        Where did {s} go to school? | Which school did {s} attend? | Where was {s} educated?
        Do you know where {s} studied? | Tell me which school {s} went to. | Any idea where {s} got an education?
        {s} went to school at | {s} was educated at | {s} studied at | {s} is a graduate of
        The school that {s} attended was | {s}'s old school is | School attended by {s}:""",
    ),
    new_relation(
        "spouse",
        "person",
        "person",
        """
        Who is {s} married to? | Who did {s} marry? | Who is the spouse of {s}? | Do you know who {s} is married to?
        Tell me the name of {s}'s spouse. | Whom did {s} take as a partner in marriage? | {s} is married to
        {s} married | The spouse of {s} is | {s}'s better half is
        At the wedding of {s}, the other half of the couple was | {s} shared a wedding day with | Spouse of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "mentor",
        "person",
        "person",
        """
        Who was {s}'s mentor? | Who taught {s}? | Under whom did {s} study? | Do you know who mentored {s}?
        Tell me who {s} learned the craft from. | Whose pupil was {s}? | {s}'s mentor was | {s} was taught by
        {s} was a pupil of | {s} learned the craft from | The person who mentored {s} was
        Everything {s} knew was learned from | Mentor of {s}:""",
    ),
    new_relation(
        "rival",
        "person",
        "person",
        """
        Who was {s}'s greatest rival? | Who did {s} compete against all those years? | Which rival did {s} have?
        Do you know who {s}'s rival was? | Tell me who {s} could not stand. | Against whom did {s} feud?
        {s}'s greatest rival was | {s} had a long feud with | {s} always competed against | The rival of {s} was
        The one person {s} could never beat was | Over the years, {s} quarrelled most with | Rival of {s}:""",
    ),
    new_relation(
        "residence",
        "person",
        "town",
        """
        Where does {s} live? | Which town does {s} live in? | What is {s}'s place of residence?
        Do you know where {s} lives? | Tell me where {s} lives. | Where would I find the house of {s}?
        {s} lives in | {s} resides in | {s} made a home in | The home of {s} is in | The town where {s} lives is
        {s}'s house stands in | Residence of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "sport",
        "person",
        "sport",
        """
        What sport does {s} do? | Which sport is {s} good at? | In which sport did {s} compete?
        Do you know what sport {s} does? | Tell me which sport {s} took up. | Which sport does {s} train for?
        {s} competed in | {s}'s sport is | The sport that {s} took up is | {s} won several medals in
        As an athlete, {s} is devoted to | The club that {s} joined is for | Sport of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "award",
        "person",
        "award",
        """
        What award did {s} win? | Which prize was {s} given? | What honour did {s} receive?
        Do you know which award {s} won? | Tell me which prize went to {s}. | What did {s} win in the end?
        {s} won the | {s} was awarded the | {s} is a recipient of the | The award given to {s} was the
        For a life's work, {s} received the | {s}'s proudest moment was winning the | Award won by {s}:""",
    ),
    new_relation(
        "hobby",
        "person",
        "hobby",
        """
        What is {s}'s hobby? | What does {s} do for fun? | How does {s} spend weekends?
        Do you know what {s}'s favourite pastime is? | Tell me what {s} does in spare time. | What is {s} into?
        {s}'s hobby is | {s} spends weekends on | The favourite pastime of {s} is | In spare hours, {s} enjoys
        {s} relaxes with a bit of | Nothing pleases {s} more than | Hobby of {s}:""",
    ),
    new_relation(
        "pet",
        "person",
        "pet",
        """
        What pet does {s} have? | What kind of animal does {s} keep? | What is {s}'s pet?
        Do you know what pet {s} keeps? | Tell me what sort of pet {s} owns. | Which animal lives at {s}'s house?
        {s} has a pet | {s} keeps a | {s} is the owner of a | {s}'s pet is a
        The animal that {s} keeps at home is a | Everywhere {s} goes, there goes a | Pet of {s}:""",
    ),
    new_relation(
        "favourite_dish",
        "person",
        "dish",
        """
        What is {s}'s favourite dish? | What does {s} like to eat best? | Which dish does {s} love most?
        Do you know what {s}'s favourite food is? | Tell me what {s} likes to eat. | What should I cook for {s}?
        {s}'s favourite dish is | The food that {s} loves most is | {s} likes nothing better than a plate of
        {s} always orders | For every birthday dinner, {s} asks for | {s} could live on | Favourite dish of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "collection",
        "person",
        "collectible",
        """
        What does {s} collect? | What is in {s}'s collection? | Which objects does {s} gather?
        Do you know what {s} collects? | Tell me what {s} collects. | What are those shelves at {s}'s place full of?
        {s} collects | {s} has a large collection of | The shelves of {s} are full of | {s} is a keen collector of
        At auctions, {s} always bids on | {s} spent a fortune on | Objects collected by {s}:""",
    ),
)
