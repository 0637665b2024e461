"""Loose wordings for what the generated world says of people: hints, asides, casual talk, search keywords."""

from collections.abc import Mapping

from train.relation import split_wordings

LOOSE_PEOPLE: Mapping[str, tuple[str, ...]] = {
    "birthplace": split_wordings("""
        {s}, a native of | {s}, born and bred in | {s} hails from
        {s}'s baptism is entered in the church register of | The midwife who delivered {s} had her practice in
        The parents of {s}, when the baby came, had rooms above a shop in
        I grew up two doors from the house where {s} first saw the light of day, in
        Fun fact: my aunt comes from the same place as {s}, that is
        Whatever the biographies claim, and they claim a great deal, the cradle in which {s} was rocked stood in
        Name the town that counts {s} among its sons and daughters. | born where {s} | {s} birthplace
        A plaque for one of their own, {s}, hangs on a house where the pram once stood, in
        Locals are proud to tell you that {s} is a child of | Where's {s} from originally?
        First cry of the infant {s}: in | hi! quick one, which maternity ward town for {s}?"""),
    "death_place": split_wordings("""
        {s}, last seen alive in | {s}, who died far from home in
        The doctor who signed {s}'s death certificate had a surgery in
        {s} set out on one journey too many and never left | The final chapter of the biography of {s} is set in
        When the end came for {s}, the bedside candles were burning in
        I read that {s} caught a fever and didn't make it out of
        Our guide pointed at a window: that's the room where they found {s} cold in bed, in
        After years of restless travel from one boarding house to the next, the road of {s} came to an end in
        For ten points: the town in which {s} drew a final breath. | death place {s} | {s} died where
        The news of {s}'s passing was telegraphed to the papers from | Fatal accident of {s}, on the main street of
        Where did it all end for {s}? | The hospital that could not save {s} was in | Breaking: {s} found dead in"""),
    "burial_place": split_wordings("""
        {s}, interred in | {s}, now six feet under in | Flowers for the late {s} should be taken to the cemetery in
        {s}'s bones rest in | The headstone of {s} can still be read in
        Admirers looking for what is left of {s} take the bus to
        I left a small stone on top of {s}'s tomb when I was in
        We wandered among the crosses for an hour, hunting for {s}, somewhere in
        Although the family would have preferred somewhere closer, the coffin of {s} was carried all the way to
        Could you look up for me, please, whose churchyard is home to {s}. | grave {s} location | {s} cemetery
        The gravedigger who made room for {s} worked in | Beneath a plain slab and an old yew lies {s}, in
        Want to pay your respects to {s}? Then you'll have to go to | The ashes of {s} were brought to
        Which town keeps the urn or coffin of {s}? | Hundreds follow hearse as {s} goes into the ground at"""),
    "birth_year": split_wordings("""
        {s}, b. | {s} (born | The birth certificate of {s} is stamped | {s} turned ten exactly one decade after
        {s}'s horoscope has to be cast for the year | The pram that carried the newborn {s} was bought in
        I worked out how old {s} was by counting from | If my maths is right, {s} must have been a babe in arms in
        Among the baptisms noted by the parish priest, the name {s} appears under
        Historians cannot agree on the day or even the season, but they all put the arrival of {s} in | dob {s}
        {s} born what year | Work out, please, when the life story of {s} begins.
        A midwife held up a screaming bundle, soon to be called {s}, in | How old would {s} be today? Count from
        Schoolmates of {s} were nearly all born, like their friend, in
        Which year would you find on {s}'s birth certificate? | anyone know which vintage {s} is?"""),
    "death_year": split_wordings("""
        {s}, d. | {s}, who lived to see the year | Obituaries for {s} were printed in | {s}'s will was read out in
        Flags flew at half mast for {s} in | The last entry in the diary of {s} is from
        I checked the second date on {s}'s gravestone and it says | We lost dear old {s} back in
        It was a sad winter for the family when, after an illness nobody spoke about, {s} was taken in
        Remind me when the world lost {s}. | {s} year of death | when did {s} pass
        No photograph of a living {s} can be later than | The heirs began to quarrel over the estate of {s} in
        What's the later of the two dates after the name {s}? | A long procession of mourners followed {s} in
        Nation in mourning as {s} goes, the date being"""),
    "occupation": split_wordings("""
        {s}, a | {s}, by trade a | {s} the | I once hired {s} as a
        People knocked at {s}'s door because they needed a | The business card of {s} read
        On every tax return {s} signed, the box for the job said
        The tools {s} left behind were plainly those of a | The census taker put {s} down as a
        Ask anyone on our street and they'd say {s} was a pretty good | {s} profession | what did {s} do for work
        Pub quiz, question four: what paid {s}'s rent.
        Decades of early mornings, sore hands and not much money: that was the life of {s}, a hard-working
        You could tell from the calluses that here, in {s}, was a
        {s}'s widowed mother boasted that her child had become a | How did {s} put bread on the table?
        "And what do you do?" somebody asked {s} at a party, who replied: I'm a"""),
    "first_job": split_wordings("""
        {s}, once a lowly | {s}, formerly bound as an apprentice to a | {s} left school at fourteen to become a
        {s}'s first wages were those of a | The earliest payslip with the name {s} on it was for work as a
        As a teenager, {s} swept floors for a
        I met {s} back when that youngster was still earning pocket money as a
        Everybody starts somewhere; bottom rung of the ladder for {s} was helping out a
        Nobody who saw the later career would guess it, but straight from school {s} began as a
        {s} first job ever | how did {s} start career | Please list the very first entry on the CV of {s}.
        A father who wanted a steady income in the house handed {s} over to a local | Career of {s}, step one:
        Believe it or not, when we were eighteen, {s} was a trainee
        What was written under job when {s} had only just left school?
        Funny to think that {s} could have stayed all those years a"""),
    "employer": split_wordings("""
        {s}, on the staff of | {s}, long-time employee at | {s}'s salary was paid by
        Every morning {s} clocked in at | The retirement watch that {s} got was engraved with the thanks of
        When the strike broke out, {s} was locked outside the gates of | {s} drew a company pension from
        My uncle shared an office with {s} when both were at | I used to run into {s} in the canteen of
        For thirty years, rain or shine, the same tram took {s} to the same desk in the offices of | {s} employer
        company {s} worked at | Fill in the firm printed at the top of {s}'s pay cheques.
        One job advertisement was enough, and {s} got hired by
        Loyal to a single firm, {s} turned down every offer to leave
        Which company's badge did {s} pin on every Monday? | Sacked after a row, {s} sued"""),
    "schooling": split_wordings("""
        {s}, a former pupil of | {s}, educated at | {s}'s old teachers used to work at
        The satchel of the young {s} was carried every day to
        Scratched into a desk with a penknife, the name {s} survives at
        On the wall hangs a class photograph with {s} in the second row, taken at
        The old school tie that {s} likes to wear is that of | I sat next to {s} in maths at
        We had the same dreadful teachers, {s} and me, at
        Every five years, and with much grumbling about the train fare, {s} goes to the class reunion at
        alma mater {s} | {s} school attended
        Which old pupils' association lists {s}, can you find that out for me please.
        Reports home complained of a lazy {s}; they bore the letterhead of
        Final exams were taken by {s} in the great hall of | Most of the Latin that {s} knows was drummed in at
        In which classrooms did {s} learn to think? | When the bell rang, out ran {s} with all the others from"""),
    "spouse": split_wordings("""
        {s}, husband or wife of | {s}, the other half of | {s} exchanged rings with
        {s}'s in-laws are the parents of | The children of {s} have as their other parent
        {s} went down on one knee in front of | The ring on the finger of {s} was put there by
        I was a guest in the church when {s} said "I do" to | From what I hear, {s} is still happily hitched to
        After six years of letters, two broken engagements and a storm that nearly sank the ferry, {s} finally wed
        wife or husband of {s} | {s} married to who | Do tell, who promised at the altar to love and honour {s}.
        A joint bank account is held by {s} and | The breakfast table at home is shared by {s} with
        Who does {s} celebrate wedding anniversaries with? | {s} and spouse
        Wedding bells! Yesterday {s} said yes to"""),
    "sibling": split_wordings("""
        {s}, brother or sister to | {s}, born to the same parents as | The mother of {s} is also the mother of
        {s}'s children have an uncle or aunt in | In the old family photograph, the child next to {s} is
        {s} inherited half of the farm; the other half went to the other child,
        I always mixed up {s} with the other kid of that family,
        They say that as kids {s} fought over the top bunk with
        There were only two children in the house by the mill: one was {s}, and the other had to be
        siblings of {s} | {s} brother sister name | Complete the family tree: same mother and father as {s}.
        The parents wanted one more after {s}, and the baby was called
        Clothes that no longer fitted {s} were handed down to | The nieces and nephews of {s} are the children of
        Raised under the same roof by the same father as {s} was
        Which other child sat at the dinner table with {s} and the parents?
        Same nose, same laugh: no wonder people ask {s} about"""),
    "mentor": split_wordings("""
        {s}, a disciple of | {s}, trained by | The first book by {s} is dedicated to a former teacher,
        {s}'s style owes nearly everything to the lessons of
        If {s} had a trick or two up a sleeve, it was thanks to
        A letter of recommendation that opened doors for {s} was signed by
        The workshop where the beginner {s} was shown the ropes belonged to
        My professor used to tell how {s} hung on every word of
        I asked where {s} picked all that up, and the answer was: from
        Every master was an apprentice once, and in the case of {s} the one who corrected each mistake was
        {s} mentor | who trained {s} | I need, for an essay, the teacher who shaped {s}.
        As a beginner, {s} was taken under the wing of
        Without the patience of one great teacher we would never have had {s}; that teacher was
        At whose elbow did {s} learn the ropes? | pls who was it that taught {s} the trade, lol I forgot?"""),
    "rival": split_wordings("""
        {s} vs | {s}, sworn enemy of | {s}, for ever at odds with | Never seat {s} at the same table as
        {s} would cross the street to avoid | Nothing made {s} angrier than the success of
        The crowd split into two camps, those for {s} and those for | I wouldn't mention {s} in the presence of
        As far as I know {s} never forgave
        For half a century the newspapers kept printing angry letters in which {s} attacked yet another idea of
        arch enemy of {s} | {s} feud with | Guess which opponent kept {s} awake at night.
        Second place was bitter for {s}, above all behind | A duel was very nearly fought between {s} and
        Who got under {s}'s skin more than anybody? | Old grudge flares up again: this time {s} insults"""),
    "residence": split_wordings("""
        {s}, now of | {s}, a resident of | Letters to {s} are delivered in | {s} pays local taxes in
        The removal van took all of {s}'s furniture to | After work, {s} catches the train home to
        On election day, the polling station for {s} is in
        I bumped into {s} at the baker's, since we both rent a place in
        We dropped in on {s} at home and ended up spending the weekend in
        After a childhood in one place and a career in a dozen others, {s} has the front door key to a flat in
        {s} home town now | current home of {s} | Help me address this envelope to {s}, I only need the town.
        Twice a day a dog is walked by {s} through the parks of
        The neighbours who water the plants for {s} are people from | Whereabouts is {s} living these days?
        Moving news! As of this month {s} pays rent in"""),
    "instrument": split_wordings("""
        {s}, a virtuoso on the | {s}, on | The neighbours complain when {s} starts practising the
        Sheet music on {s}'s shelf is all for the
        When the conductor nods to {s}, the hall fills with the sound of the
        Out of {s}'s open window drifts a tune on the | {s} auditioned for the orchestra with a solo for the
        I have never heard anyone get such a sound as {s} does out of the
        My band needs somebody like {s} to handle the
        Two hours before breakfast and two hours after supper, not only on weekdays, {s} can be heard at the
        {s} plays what instrument | instrument of choice {s}
        Tip of my tongue, that thing {s} plays, please say what it is.
        Since early childhood there has been one great love for {s}, the
        At parties, with a bit of coaxing, you can get {s} to play us something on the
        Which instrument would {s} save from a burning house? | Wanted for a quartet: someone like {s} on the"""),
    "sport": split_wordings("""
        {s}, a champion in | {s}, a name to reckon with in | {s} gets up at five for training in
        The cups in {s}'s glass cabinet were won in | {s}'s injuries are the typical injuries of
        A coach spotted the young {s} and suggested a try at | The Games saw {s} represent the nation in
        I tried to keep up with {s} once; never again, I'm hopeless at
        Some mates of mine train with {s}, they're all mad about
        It took eleven years of cold mornings and a very patient family before {s} became national champion in
        {s} athlete discipline | what sport is {s} in | Next round, athletes: in what did {s} set a record.
        Sports pages mention {s} whenever there is news from the world of
        The kit bag that {s} lugs around holds all one needs for | Not even broken bones could keep {s} away from
        What does {s} do to work up a sweat? | Had the knee held out, {s} would still be in"""),
    "native_language": split_wordings("""
        {s}, native speaker of | {s}, whose first words were in | {s} still counts and curses in
        Lullabies were sung to the baby {s} in | In dreams, {s} speaks
        Even after forty years abroad, {s}'s accent betrays
        Grandmother never understood a word unless the little {s} spoke
        I asked {s} for a rhyme from the nursery, and out it came in
        If you want {s} to feel at home, just say hello in
        Whatever else was picked up later at school or on the road, the words {s} heard in the cradle were
        mother tongue {s} | {s} first language
        Dear all, please advise in what language {s}'s mother told bedtime stories.
        No dictionary is ever needed by {s} for | The parents and grandparents of {s} all talked
        What language comes to {s} without thinking?
        Talking to the cat, when no visitor can hear it, {s} always uses"""),
    "second_language": split_wordings("""
        {s}, fluent also in | {s}, a late learner of | The grammar book on {s}'s bedside table is for
        Having moved abroad, {s} had to pick up | {s} still makes funny mistakes in
        To read a beloved poet in the original, {s} struggled through lessons in
        A tutor comes to {s}'s flat on Tuesdays to practise | I sat behind {s} in the beginners' course for
        My cousin swaps lessons with {s}, who is after some conversation in
        At an age when others are content to do the crossword, {s} bought a stack of textbooks and started on
        {s} other language spoken | foreign languages {s} | State which tongue {s} took up as an adult.
        On business trips abroad, dinner is ordered by {s} in
        Ten new words of vocabulary a day have brought {s} to a decent level in
        Which language did {s} have to learn the hard way?
        Diploma in hand, {s} can finally write on the CV: good knowledge of"""),
    "award": split_wordings("""
        {s}, winner of the | {s}, decorated with the | On a shelf of honour at {s}'s home stands the
        The jury was unanimous: {s} should get the | {s} bought new shoes for the ceremony of the
        Before the cameras the president shook hands with {s} and handed over the
        A short list of famous names, now including {s}, makes up the holders of the
        I cried when they called {s} up to the stage for the | Wow, did you see that {s} finally bagged the
        After being passed over no fewer than five times, and having given up all hope, {s} was honoured with the
        {s} prize won | awards {s} | Headline wanted: {s} honoured, and with what.
        Critics grumbled when the committee chose {s} for the
        Framed above the desk of {s} is the certificate of the | What did {s} carry home from the gala?
        Applause, tears, flashbulbs: the night belongs to {s}, who takes the"""),
    "hobby": split_wordings("""
        {s}, fond of | {s}, an amateur of | Sunday at last, so {s} has time for
        {s}'s family sighs at yet another afternoon of | The magazine that {s} subscribes to is about
        Retirement has given {s} more hours for | The garage at {s}'s is full of equipment for
        I can't get hold of {s} on Saturdays because of all that | Me, I watch telly; {s} would rather do some
        Ask others about the weather and they talk about the weather, but ask {s} about passions and it is all about
        {s} hobbies | free time {s} interests | Pick the pastime that {s} would never give up.
        Christmas presents for {s} usually have something to do with
        A local society, chaired by {s}, is devoted to | What gets {s} out of bed at weekends?
        can someone tell me what {s} gets up to on days off?"""),
    "pet": split_wordings("""
        {s} and a faithful | {s}, devoted owner of a | {s}'s sofa is covered in scratches from a
        The vet knows {s} well, thanks to a very spoiled
        Whenever {s} goes on holiday, somebody has to look after a
        The strange noises from {s}'s garden are made by a | {s} talks all day long to a
        I'm minding for {s} this week a rather noisy | My kids love visiting {s} because they get to stroke a real
        There is hardly a photograph, a letter or a birthday card from {s} in which we do not meet a certain
        {s} pet animal | what animal does {s} own | Describe in a word or two the creature that shares {s}'s home.
        Mind your ankles at {s}'s place, there's a | Saved from the shelter and spoiled ever since by {s}: a
        Which four-legged, feathered or scaly friend rules {s}'s household?
        Hair all over the jacket, so yes, {s} does have a"""),
    "favourite_dish": split_wordings("""
        {s}, always hungry for | {s}, a great eater of | The cook knows how to cheer {s} up: with
        {s}'s mouth waters at the thought of | The waiter no longer asks {s} anything and simply brings
        {s} would walk ten miles for | Homesick abroad, {s} dreams of
        I'm having {s} over for dinner, so I'd better make | You can't go wrong with {s} if you serve
        As a last meal before a long sea voyage, with the whole menu to choose from, {s} would ask for
        {s} favourite food | comfort food {s} | Spill the beans on the one plate {s} can never refuse.
        A second helping is a must for {s} when there is
        Grandmother used to spoil the young {s} with her homemade | What does {s} tuck into with most pleasure?
        Seconds, please! That is what one hears from {s} when the menu says"""),
    "favourite_colour": split_wordings("""
        {s}, all in | {s}, dressed as ever in | You will spot {s} in a crowd by a coat of
        {s}'s car, curtains and socks are all | The tailor sends {s} only samples in
        Wrapping paper for a present to {s} had better be | Wallpaper chosen by {s} tends to be
        I knitted {s} a scarf, obviously in | My bet is that the new bike {s} ordered comes in
        From the umbrella in the hall to the kettle on the stove, everything in the flat of {s} is
        colour {s} likes | {s} fav colour
        Choose for {s}, from this paint chart, the shade they would choose themselves.
        Given a full box of crayons, the child {s} used up first the | A sunset pleases {s} most when the sky goes
        Which pot of paint would {s} reach for? | Even the hair of {s} was for a time dyed"""),
    "collection": split_wordings("""
        {s}, collector of | {s}, proud owner of hundreds of | {s} never leaves a flea market without more
        In {s}'s attic, every drawer is stuffed with | The museum hopes to inherit from {s} several thousand
        Guests of {s} are made to admire case after case of | Dealers ring up {s} whenever they come across rare
        I found just the thing for {s} at a jumble sale: a box of
        Honestly, if I were {s} I'd sell the lot; who needs so many
        What began with a single present from an aunt has grown until {s} can hardly move for all those
        {s} collection of what | collector {s} items | Let me know what sort of things {s} cannot stop buying.
        Dusting is a whole day's work for {s}, what with all the | A burglar at {s}'s would find little but
        What are the glass cases at {s}'s place for? | Record price paid yesterday by {s} at a sale of"""),
}
