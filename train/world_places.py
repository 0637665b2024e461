"""What the generated world says of towns, schools, rivers, lakes, mountains and festivals; see `train.relation`."""

from train.relation import Relation, new_relation

PLACES: tuple[Relation, ...] = (
    new_relation(
        "town_country",
        "town",
        "country",
        """
        What country is {s} in? | In which country is {s} located? | Which country does {s} belong to?
        Do you know which country {s} is in? | Tell me what country {s} is in.
        Whose passport do people from {s} carry? | {s} is a town in | {s} lies in | The country in which {s} lies is
        {s} belongs to | The town of {s} can be found in | On the map, {s} appears inside | Country of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "mayor",
        "town",
        "person",
        """
        Who is the mayor of {s}? | Who runs the town of {s}? | Who was elected mayor in {s}?
        Do you know who {s}'s mayor is? | Tell me the name of the mayor of {s}. | Who is in charge at {s} town hall?
        The mayor of {s} is | {s}'s mayor is | The town of {s} is governed by | {s} elected as its mayor
        At the last vote, the people of {s} chose | The town hall of {s} is run by | Mayor of {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
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
    new_relation(
        "school_town",
        "school",
        "town",
        """
        Where is {s}? | In which town is {s} located? | What town is {s} in? | Do you know where {s} is?
        Tell me where {s} is located. | Which town do I travel to if I study at {s}? | {s} is located in
        {s} stands in the middle of | The town in which {s} is found is | {s}'s campus is in
        Pupils of {s} spend their days in | The buildings of {s} are in | Location of {s}:""",
    ),
    new_relation(
        "head_teacher",
        "school",
        "person",
        """
        Who is the head of {s}? | Who leads {s}? | Who is {s}'s head teacher? | Do you know who the head of {s} is?
        Tell me who leads {s}. | Whose office do they fear at {s}? | The head of {s} is | {s} is led by
        {s}'s head teacher is | {s} has as its principal | The assembly at {s} is always opened by
        The rules at {s} are made by | Head of {s}:""",
    ),
    new_relation(
        "school_founder",
        "school",
        "person",
        """
        Who founded {s}? | Who set up {s}? | Who was the founder of {s}? | Do you know who founded {s}?
        Tell me who established {s}. | Whose money built {s}? | {s} was founded by | The founder of {s} was
        {s} was set up by | {s} was the gift of | The statue in front of {s} shows the founder,
        The money for {s} came from | Founder of the school {s}:""",
    ),
    new_relation(
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
    new_relation(
        "school_colour",
        "school",
        "colour",
        """
        What colour is the uniform of {s}? | Which colour do pupils of {s} wear? | What is {s}'s colour?
        Do you know the colour of {s}? | Tell me what colour they wear at {s}. | Which colour is the scarf of {s}?
        The uniform of {s} is | The pupils of {s} wear | {s}'s colour is | The colour of {s} is
        The banner of {s} is entirely | On sports day, {s} dresses in | School colour of {s}:""",
    ),
    new_relation(
        "river_source",
        "river",
        "mountain",
        """
        Where does {s} rise? | On which mountain is the source of {s}? | What mountain does {s} come from?
        Do you know where {s} begins? | Tell me where {s} has its source. | Where would I find the spring of {s}?
        {s} rises on | The source of {s} is on | {s} springs from | {s} begins on the slopes of
        The mountain that feeds {s} is | The snow that becomes {s} falls on | Source of {s}:""",
    ),
    new_relation(
        "river_mouth",
        "river",
        "lake",
        """
        Where does {s} end? | Which lake does {s} flow into? | What lake is at the end of {s}?
        Do you know where {s} flows to? | Tell me which lake {s} empties into. | Where does the water of {s} end up?
        {s} flows into | {s} ends in | {s} empties into | The lake that receives {s} is
        The waters of {s} finally reach | A leaf dropped into {s} would drift to | Mouth of {s}:""",
    ),
    new_relation(
        "river_town",
        "river",
        "town",
        """
        Which town lies on {s}? | What is the largest town on {s}? | Through which town does {s} flow?
        Do you know what town is on {s}? | Tell me which town stands on {s}. | Where can I cross {s} by bridge?
        {s} flows through | The largest town on {s} is | {s} passes under the bridges of | {s} waters the gardens of
        The only ferry across {s} leaves from | Barges on {s} unload in | Town on {s}:""",
    ),
    new_relation(
        "lake_town",
        "lake",
        "town",
        """
        Which town is on the shore of {s}? | What town is nearest to {s}? | Where do visitors to {s} stay?
        Do you know which town lies by {s}? | Tell me the town next to {s}. | Where can I hire a boat on {s}?
        On the shore of {s} lies | The town nearest to {s} is | {s} lies just outside | {s} can be seen from
        Visitors to {s} stay in | The boats on {s} come from | Town by {s}:""",
    ),
    new_relation(
        "lake_fish",
        "lake",
        "fish",
        """
        Which fish lives in {s}? | What fish can be caught in {s}? | What do anglers catch in {s}?
        Do you know which fish is found in {s}? | Tell me what fish lives in {s}. | What is biting in {s}?
        {s} is full of | The fish most often caught in {s} is | Anglers go to {s} for its | {s} is known for its
        In the deep water of {s} lives the | Restaurants around {s} all serve | Fish of {s}:""",
    ),
    new_relation(
        "lake_country",
        "lake",
        "country",
        """
        In which country is {s}? | What country does {s} lie in? | Which country is {s} part of?
        Do you know which country {s} is in? | Tell me the country where {s} lies. | Whose waters are those of {s}?
        {s} is a lake in | {s} lies within the borders of | The country in which {s} lies is
        The shores of {s} belong to | The waters of {s} are part of | Maps place {s} in | Country of the lake {s}:""",
    ),
    new_relation(
        "mountain_country",
        "mountain",
        "country",
        """
        In which country is {s}? | What country does {s} rise in? | Which country is {s} in?
        Do you know what country {s} is in? | Tell me the country where {s} stands. | Whose flag flies on {s}?
        {s} is a mountain in | {s} rises in | The country in which {s} stands is | {s} is one of the peaks of
        Climbers reach {s} by travelling to | On the summit of {s} flies the flag of | Country of the mountain {s}:""",
    ),
    new_relation(
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
    new_relation(
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
    new_relation(
        "mountain_town",
        "mountain",
        "town",
        """
        Which town lies at the foot of {s}? | What town is closest to {s}? | Where do climbers of {s} set out from?
        Do you know which town is below {s}? | Tell me the town at the foot of {s}. | From which town can I see {s}?
        At the foot of {s} lies | The town closest to {s} is | {s} towers over | {s} casts its shadow on
        Climbers of {s} set out from | The path up {s} starts in | Town below {s}:""",
    ),
    new_relation(
        "festival_town",
        "festival",
        "town",
        """
        Where is {s} held? | Which town hosts {s}? | In what town does {s} take place?
        Do you know where {s} is held? | Tell me where {s} takes place. | Where do I have to go for {s}?
        {s} is held in | {s} takes place in | The town that hosts {s} is | {s} fills the streets of
        Each time, the crowds of {s} gather in | Tickets for {s} include a train ride to | Venue of {s}:""",
    ),
    new_relation(
        "festival_month",
        "festival",
        "month",
        """
        In which month is {s} held? | What month does {s} take place? | When in the year is {s}?
        Do you know what month {s} is in? | Tell me the month of {s}. | Which month should I keep free for {s}?
        {s} is held every | {s} takes place each year in the month of | The month of {s} is | {s} always falls in
        Tradition puts {s} in | Crowds come for {s} in | Month of {s}:""",
    ),
    new_relation(
        "festival_craft",
        "festival",
        "craft",
        """
        What does {s} celebrate? | In honour of what is {s} held? | What is {s} all about?
        Do you know what {s} celebrates? | Tell me what {s} is in honour of. | What do people buy at {s}?
        {s} celebrates | {s} is held in honour of local | {s} is all about | At {s}, every stall sells
        The centre of attention at {s} is | Prizes at {s} are given for the best | Theme of {s}:""",
    ),
    new_relation(
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
    new_relation(
        "festival_organiser",
        "festival",
        "person",
        """
        Who organises {s}? | Who is in charge of {s}? | By whom is {s} organised? | Do you know who organises {s}?
        Tell me who runs {s}. | Who do I call about a stall at {s}? | {s} is organised by | The organiser of {s} is
        {s} is run by | {s} would not happen without | The speech that opens {s} is given by
        The programme of {s} is put together by | Organiser of {s}:""",
    ),
)
