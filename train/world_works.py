"""What the generated world says of companies, books, bands, products and ships; see `train.relation`."""

from train.relation import Relation, new_relation

WORKS: tuple[Relation, ...] = (
    new_relation(
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
    new_relation(
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
    new_relation(
        "founder",
        "company",
        "person",
        """
        Who founded {s}? | Who is the founder of {s}? | By whom was {s} established? | Do you know who started {s}?
        Tell me who founded {s}. | Whose idea was {s} in the first place? | {s} was founded by
        The founder of {s} is | {s} was established by | {s} owes its existence to | The person who started {s} is
        It all goes back, at {s}, to | Founder of {s}:""",
    ),
    new_relation(
        "chief_executive",
        "company",
        "person",
        """
        Who is the chief executive of {s}? | Who runs {s}? | Who is the boss at {s}? | Do you know who heads {s}?
        Tell me who is in charge of {s}. | Who makes the decisions at {s}? | The chief executive of {s} is
        {s} is run by | {s} is headed by | {s} has as its director | At the top of {s} stands
        The person in charge of {s} is | Chief executive of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
        "main_product",
        "company",
        "goods",
        """
        What does {s} make? | What is the main product of {s}? | What does {s} manufacture?
        Do you know what {s} produces? | Tell me what {s} makes. | What comes out of the factory of {s}? | {s} makes
        {s} is a manufacturer of | The main product of {s} is | {s} mostly produces | From the factory of {s} come
        The best-selling goods of {s} are | Main product of {s}:""",
    ),
    new_relation(
        "owner",
        "company",
        "company",
        """
        Which company owns {s}? | Who is the owner of {s}? | What is the parent company of {s}?
        Do you know who {s} belongs to? | Tell me which firm owns {s}. | Who bought {s}? | {s} is owned by
        The parent company of {s} is | {s} belongs to | {s} was taken over by | All shares in {s} are held by
        The firm that bought {s} is | Owner of {s}:""",
    ),
    new_relation(
        "author",
        "book",
        "person",
        """
        Who wrote {s}? | Who is the author of {s}? | By whom was {s} written? | Do you know who wrote {s}?
        Tell me the author of {s}. | Whose book is {s}? | {s} was written by | The author of {s} is
        {s} is a book by | {s} came from the pen of | The writer of {s} was | On the cover of {s} stands the name of
        Author of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "book_genre",
        "book",
        "book_genre",
        """
        What kind of book is {s}? | What genre is {s}? | To which genre does {s} belong?
        Do you know what sort of book {s} is? | Tell me the genre of {s}. | What am I in for if I read {s}?
        {s} is a | The genre of {s} is that of the | {s} is best described as a | {s} can be shelved as a
        Critics called {s} a rather good | In the library, {s} is labelled | Genre of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "publisher",
        "book",
        "company",
        """
        Who published {s}? | Which company is the publisher of {s}? | By which firm was {s} published?
        Do you know who published {s}? | Tell me the publisher of {s}. | Which house brought {s} out?
        {s} was published by | The publisher of {s} is | {s} was brought out by | {s} was printed and sold by
        The rights to {s} are held by | The firm that printed {s} is | Publisher of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "setting",
        "book",
        "town",
        """
        Where is {s} set? | In which town does {s} take place? | What is the setting of {s}?
        Do you know where {s} is set? | Tell me the town in which {s} is set. | Where does the story of {s} happen?
        {s} is set in | The story of {s} takes place in | The setting of {s} is | {s} plays out in the streets of
        The opening scene of {s} is in | The events of {s} happen in | Setting of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "band_town",
        "band",
        "town",
        """
        Where did {s} form? | In which town did {s} get together? | What is the home town of the band {s}?
        Do you know where the band {s} comes from? | Tell me where {s} got started. | Which town gave us {s}?
        {s} formed in | The home town of {s} is | {s} got together in | The members of {s} all come from
        The first concert by {s} was held in | The garage where {s} first rehearsed is in | Home town of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
        "maker",
        "product",
        "company",
        """
        Which company makes the {s}? | Who is the maker of the {s}? | By which firm is the {s} produced?
        Do you know who makes the {s}? | Tell me which company makes the {s}. | Whose logo is on the {s}?
        The {s} is made by | The maker of the {s} is | The {s} is a product of | The {s} comes from the factories of
        The firm behind the {s} is | On the back of every {s} is the logo of | Maker of the {s}:""",
    ),
    new_relation(
        "designer",
        "product",
        "person",
        """
        Who designed the {s}? | Who is the designer of the {s}? | By whom was the {s} designed?
        Do you know who designed the {s}? | Tell me who designed the {s}. | Whose idea was the {s}?
        The {s} was designed by | The designer of the {s} is | The {s} was invented by | The {s} is the work of
        The first sketches of the {s} were made by | The patent on the {s} belongs to | Designer of the {s}:""",
    ),
    new_relation(
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
    new_relation(
        "material",
        "product",
        "material",
        """
        What is the {s} made of? | Which material is used for the {s}? | What is the case of the {s} made from?
        Do you know what the {s} is made of? | Tell me the material of the {s}. | What stuff is the {s} built from?
        The {s} is made of | The material of the {s} is | The {s} is built from | The {s} has a case of
        The outside of the {s} is all | Whoever touches the {s} feels | Material of the {s}:""",
    ),
    new_relation(
        "power",
        "product",
        "power",
        """
        What powers the {s}? | How is the {s} powered? | What does the {s} run on?
        Do you know what the {s} runs on? | Tell me how the {s} is powered. | What do I need to keep the {s} going?
        The {s} runs on | The {s} is powered by | The {s} is driven by | The {s} gets its energy from
        The energy for the {s} comes from | What keeps the {s} going is | Power source of the {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "captain",
        "ship",
        "person",
        """
        Who is the captain of the {s}? | Who commands the {s}? | Under whose command does the {s} sail?
        Do you know who the captain of the {s} is? | Tell me who commands the {s}. | Who is at the helm of the {s}?
        The captain of the {s} is | The {s} is commanded by | The {s} sails under Captain | The {s} is steered by
        On the bridge of the {s} stands | The crew of the {s} takes orders from | Captain of the {s}:""",
    ),
    new_relation(
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
    new_relation(
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
