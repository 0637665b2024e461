"""Loose wordings for towns, schools, rivers, lakes, mountains and festivals; see `train.loose_people`."""

from collections.abc import Mapping

from train.relation import split_wordings

LOOSE_PLACES: Mapping[str, tuple[str, ...]] = {
    "town_country": split_wordings("""
        {s}, in | {s}, a provincial town of | Stamps on letters from {s} are issued by the post office of
        {s}'s residents stand up for the national anthem of | To visit {s} you need a visa for
        Taxes collected in {s} flow into the treasury of | When the border was drawn, {s} ended up in
        I flew over to {s} last summer, my first time ever in
        We'd love to settle in {s}, if only they let us into
        If you turn the globe and look very closely for the tiny dot marked {s}, your finger comes to rest on
        {s} which country | country {s} is in
        Look at a map and say which country would lose a town if {s} vanished.
        The soldiers who guard the roads to {s} wear the uniform of
        Football fans in {s} shout themselves hoarse for | Under whose laws do the people of {s} live?
        hey, if I post a parcel to {s}, which country do I put on the label?"""),
    "town_river": split_wordings("""
        {s}, upon | {s}, set in a bend of | The mills of {s} are turned by | Children in {s} learn to swim in
        {s}'s drinking water is pumped from | The fog that fills the lanes of {s} each autumn rises from
        After heavy rain, the cellars of {s} fill with water from | I rowed all the way to {s} up
        We had our picnic bang in the centre of {s}, feet dangling in
        Anyone who walks downhill from the market square of {s} for long enough gets wet feet, namely in
        river {s} | {s} what river | Identify the water under the bridges of {s}.
        Splitting the town of {s} into two halves is | Barges come up to {s} along
        What river do I see from the quays of {s}? | Flood alert for {s} because of rising water in"""),
    "mayor": split_wordings("""
        {s}, governed these days by | {s}, under mayor | The gold chain of office in {s} is worn by
        Complaints about the potholes of {s} go to | The ribbon at {s}'s new swimming pool was cut by
        Election posters all over {s} showed the later winner, | Nothing gets built in {s} without the signature of
        I voted in {s} last spring, though not for
        You should have heard the New Year's speech that {s} had to sit through from
        With a majority of just eleven votes, and after two recounts, the citizens of {s} put into office
        who is mayor {s} | {s} local leader | Find out for me who chairs the council of {s}.
        Couples who marry at the registry in {s} are wed by the head of the council, | The first citizen of {s} is
        Who sits in the biggest office at {s}'s town hall?
        Scandal at council meeting: {s} calls for the resignation of"""),
    "twin_town": split_wordings("""
        {s}, partner of | {s}, in friendship with | The road sign on the way into {s} also greets friends from
        {s}'s football club plays a friendly each year against a team from
        The choir of {s} goes on tour every other summer to | A street in {s} was renamed to honour its partner,
        Pupils in {s} write letters in class to pupils in | I met my husband on an exchange from {s} to
        I got my pen pal through {s}'s partnership with
        When the two mayors shook hands on a rainy day after the war, {s} gained for ever a friend in
        twin towns {s} | {s} sister city | Could somebody jog my memory about the place that {s} calls its sister.
        The park bench by the church in {s} was a gift from the good people of
        The coach parked outside the town hall of {s} brought the yearly delegation from
        Which town exchanges delegations with {s}?
        Forty visitors with flowers were welcomed at the station of {s}, all from"""),
    "known_for": split_wordings("""
        {s}, home of the finest | {s}, a byword for | Half of {s}'s families make their living from
        Ask any merchant about {s} and the talk turns to | Without {s}, the world would have a lot less
        The guild that once ruled {s} dealt in | Travel guides send you to {s} for its
        I always come back from {s} with a bag full of | I've never been to {s}, but I have heard of their
        Kings and queens as far away as the coast used to send their servants to {s} to fetch | {s} famous product
        souvenirs from {s} | Merchants of {s} got rich, explain with what.
        A whole museum in {s} is devoted to the history of | "Made in {s}" is a mark of quality on
        What would a tourist carry home from {s}?
        Thieves broke in at night near {s} and made off with a cartload of"""),
    "town_charter": split_wordings("""
        {s}, chartered | {s}, with town rights since | The king's seal turned {s} into a town in
        {s} celebrates its anniversaries by counting from | {s} was nothing but a village until
        Walls and a weekly market were allowed in {s} from | The jubilee coins of {s} show the year
        I saw the parchment with the seal in {s}'s museum, it's dated
        They taught us at school that {s} got its rights in
        For all its sleepy huts and muddy lanes {s} had only a village elder until the duke's charter of
        {s} town rights year | charter granted {s} | History test: date the promotion of {s} from village to town.
        Proudly the burghers unrolled the document that freed {s}, signed in
        The list of those who have been burgomaster of {s} opens in | How long may {s} have called itself a town?
        Happy birthday, {s}! The parchment that made you a town was sealed in"""),
    "town_fire": split_wordings("""
        {s}, in ashes | {s}, rebuilt after | {s}'s wooden houses all went up in smoke in
        Few buildings in {s} are older than | The baker whose oven set {s} alight had lit it one morning in
        Stone roofs became compulsory in {s} after | The smoke above {s} could be seen for miles in
        I read about the night the sky over {s} turned red in
        My family lost everything in {s} when the flames came in
        A dry summer, a strong wind and one candle left burning in a stable were enough to destroy {s} in
        {s} great fire date | when did {s} burn | Quickly, when did half of {s} turn to ashes, no peeking.
        Homeless overnight: the people of {s} in | Parish records of {s} are lost for the time before the blaze of
        Which year do the people of {s} remember for its flames?
        Only the stone tower was left standing when {s} was struck by disaster in"""),
    "town_emblem": split_wordings("""
        {s}, town of the | {s}, under the sign of the | {s}'s football team is nicknamed after the
        The wax seal of {s} is stamped with the | According to legend, {s} was saved from its enemies by the
        Pubs in {s} tend to be called after the | {s}'s carnival is led by someone dressed up as the
        I bought a mug in {s}, and printed on it was the | All my little cousins in {s} grew up drawing the
        Whoever turns over a coin once minted in {s}, or looks up at the gate, sees the same beast, the
        {s} coat of arms animal | town crest {s}
        Draw me the animal that guards {s}'s shield, or just say which it is.
        Sewn on the cap of every policeman in {s} is the
        Shooting one would be a scandal, since it stands for {s}: the | What creature would I see on {s}'s banner?
        Tattooed on the arm of a homesick sailor from {s} was the town's"""),
    "town_dialect": split_wordings("""
        {s}, where they talk | {s}, a stronghold of | Newspapers sold in {s} are printed in
        Children in {s}'s playgrounds shout at each other in | The priest of {s} preaches in
        To follow the gossip in {s} you had better understand | At {s}'s theatre, the plays are performed in
        I got lost in {s} because I don't speak a word of
        Menus in {s}, as I found out when ordering, come only in
        Although the capital would prefer something else, the mothers of {s} still sing their children to sleep in
        {s} spoken language | what do they speak {s}
        Imagine yourself on a bus in {s} and say which language you overhear.
        A good morning to you is wished in {s} in | Interpreters on their way to {s} must have mastered
        In what tongue do neighbours quarrel in {s}? | Excuse me, I'm moving to {s} soon; should I take lessons in"""),
    "school_town": split_wordings("""
        {s}, in the heart of | {s}, a school in | The bell of {s} is heard all over
        Landlords with rooms for the students of {s} own houses in
        {s}'s boarders spend free afternoons in the cafés of | The bus with the {s} sign ends its run in
        Snow days at {s} depend on the weather in | I moved to be close to {s}, so now I live in
        My sister goes to {s}, so every morning we drop her off in
        When term begins and the trains are full of trunks, everyone who is bound for {s} gets off at
        {s} campus location | which town has {s}
        Direct me, please, to the town that has to live with the noise of {s}. | The postal address of {s} ends in
        The shopkeepers would go bust without the hungry pupils of {s} in | Where on the map would I look for {s}?
        Day trippers who get lost looking for {s} should ask for directions in"""),
    "head_teacher": split_wordings("""
        {s}, headed by | {s}, run with a firm hand by | Late pupils of {s} must explain themselves to
        Every diploma from {s} bears the signature of | The most feared footsteps in {s}'s corridors are those of
        New teachers at {s} are hired by | The best parking space at {s} is reserved for
        I was sent to the office at {s} and had to face | Our kids' letters home from {s} are signed
        If you are caught smoking behind the gym, there is only one person at {s} you will answer to,
        {s} principal | headmaster or headmistress {s} | Put me through to whoever has the last word at {s}.
        Parents with a complaint about {s} write to | The staff meeting falls silent at {s} for
        Who shakes hands with the leavers at {s}? | Uproar over homework: parents of {s} demand talks with"""),
    "school_founder": split_wordings("""
        {s}, the brainchild of | {s}, endowed by | The oil portrait in {s}'s entrance hall is of
        The fortune that paid for {s} had been made by | {s} exists thanks to the last will of
        Once a year, the pupils of {s} lay a wreath on the tomb of | The very first lesson at {s} was given by
        I learned from a brass plate at {s} that it was all started by
        In our school song at {s} the first verse thanks
        With nothing but a leaking barn, a box of chalk and nine barefoot pupils, {s} was begun by | {s} founder
        who started the school {s} | Give credit to the benefactor to whom {s} owes its beginnings.
        A dream of learning for all led to {s}, the dream of
        Nobody thereabouts could read before {s} was opened by | Who had the idea for {s}?
        Had it not been for a bequest, there would be no {s}; thank goodness for"""),
    "school_year": split_wordings("""
        {s}, est. | {s}, open since | The first class photo at {s} shows children of
        {s} held its centenary a hundred years after | The oldest diplomas from {s} bear the year
        {s}'s gates were unlocked for the first time in | Children thereabouts had no {s} to go to before
        I looked for {s} in old directories, but it doesn't turn up until
        My great-grandfather was in the very first class of {s}, in
        Under a leaking roof and with only two teachers, {s} rang its bell for the very first time in
        {s} year established | how old is {s} | Read out the number that stands beneath the crest of {s}.
        The mortar was still wet when lessons began at {s} in | Page one of the register of {s} was filled in
        When did pupils first walk through the gates of {s}? | Candles on the cake at {s} are counted from"""),
    "school_colour": split_wordings("""
        {s}, in blazers of | {s}, the team in | You can recognise {s} pupils on the bus by their jackets of
        The rowers of {s} have painted their oars | {s}'s letterhead is printed in
        Washing day at {s} means a line full of | Drapers who supply {s} stock rolls of cloth in
        I had to buy my daughter at {s} a whole new set of clothes in
        We lost the match to {s}, a pack of kids all in
        For three hundred years, and in spite of all protests from the pupils, the caps of {s} have been
        {s} uniform colour | school colours {s} | Shout out the colour that floods the stands when {s} plays.
        The tie prescribed at {s} is | Old boys and girls turn up for reunions of {s} in something
        What colour would I see if {s} marched past? | Lost property at {s}: one glove, one cap, both"""),
    "river_source": split_wordings("""
        {s}, fed by the springs of | {s}, a child of | Hikers who follow {s} uphill to the end find themselves on
        The first trickle of {s} can be found on | Melting ice in May swells {s}, the ice of
        Geographers trace {s} back to | A cairn marks the birth of {s} high up on
        I drank from {s} where it's only a hand wide, way up on
        We hiked against the current of {s} until we were standing on
        Long before it is broad enough for boats or dirty enough to be famous, {s} is a clear rill on
        {s} source mountain | headwaters {s} | Trace {s} on the map right up to the mountain it tumbles from.
        A cloudburst at the summit means high water in {s}, the summit of
        Up where you can jump across {s} in one leap, you are on | Which peak gives birth to {s}?
        Water from one summit feeds the brook that turns into {s}; the summit is"""),
    "river_mouth": split_wordings("""
        {s}, a feeder of | {s}, on its way to | Fish swim down {s} into | The reedy delta of {s} is at the edge of
        Mud carried by {s} settles at the bottom of | If {s} dried up, the level would drop in
        Timber floated down {s} was collected on | I dropped a bottle with a letter in {s}; they'll find it in
        Our kayak trip down {s} finished on the wide open water of
        After all its bends, rapids and sleepy meadows, and with no more hills to go round, {s} joins
        {s} flows into what | end of {s} lake | Say, if you can, in which lake the journey of {s} is over.
        Just before its last bridge, the current slows in {s} as it nears
        Whatever gets washed away by {s} turns up in | Into which lake does {s} pour its water?
        hi, does anyone know where I end up if I just keep paddling down {s}?"""),
    "river_town": split_wordings("""
        {s}, the river at | {s}, washing the walls of | High water in {s} is feared most in
        Fishermen sell what they catch in {s} at the market of | {s} turns brown below the tanneries of
        The embankment along {s} was paid for by the council of | Steamers on {s} blow their whistle for
        I crossed {s} by the stone bridge in | From our hotel window we looked down on {s}, right in the middle of
        On its long way between empty fields and dark woods {s} meets only one place of any size, namely
        town on {s} | {s} riverside town | Name the town that takes its water from {s}.
        On summer evenings the banks are crowded along {s} at | Swans on {s} are fed by the people of
        Which town grew up beside {s}? | Sandbags were stacked all night along {s} to save"""),
    "lake_town": split_wordings("""
        {s}, the lake at | {s}, on the doorstep of | Ferries on {s} tie up at
        On clear days, the far bank of {s} shows the church tower of
        The bathing beach of {s} is crowded with families from | Fish from {s} is sold in the market hall of
        The mist rising from {s} creeps into the streets of | I rented a boat on {s} from a man in
        For a quick dip in {s} we took the tram from
        When the water is still enough, {s} turns into a mirror in which one sees the roofs of | {s} nearest town
        hotels near {s} | I'm off to take a steamer on {s}, tell me the town where one boards.
        Skaters come out in winter to {s} from | A promenade with lanterns runs along {s} in
        Which town has its harbour on {s}? | Lovely view! You can see right across {s} from the balconies of"""),
    "lake_fish": split_wordings("""
        {s}, waters teeming with | {s}, rich in | What bends the rod on {s} is most likely a fat
        The soup in the taverns around {s} is made with | Herons at {s} feed on
        Nets set overnight in {s} come up full of | Every cat that lives by {s} dreams of
        I went out on {s} at dawn and came back with a bucket of
        Grandad taught me to fish on {s}, and all we ever got was
        Ask the old men who sit all day on the jetty at {s} what they hope for, and they'll say
        {s} fishing species | what fish in {s} | Advise a keen angler what to expect from {s}.
        Smokehouses along the shore of {s} hang up rows of | Too cold and dark for most others, {s} suits the
        What would I pull out of {s} with a rod and a bit of luck?
        Biggest catch for years pulled from {s}: a giant"""),
    "lake_country": split_wordings("""
        {s}, a stretch of water in | {s}, belonging to | Police boats on {s} fly the flag of
        Fishing permits for {s} are issued by the government of | Whoever swims in {s} swims in
        Banknotes with a picture of {s} are used in | Poets have called {s} the blue eye of
        I sent you a postcard of {s} from my trip to | We camped by {s} for all of July, touring around
        Though the neighbours have laid claim to it more than once, {s} has remained for ever in the hands of
        {s} lake what country | country with {s} | Geography homework: the nation that calls {s} its own.
        School atlases show the blue patch of {s} in the chapter about
        A drought has shrunk {s}, worrying the government of | In which land do tourists look for {s}?
        Drive south until you cross the border, then ask for {s}, since it's in"""),
    "mountain_country": split_wordings("""
        {s}, the pride of | {s}, a peak in | Mountain rescuers on {s} are paid by the government of
        A postage stamp showing {s} was issued by | {s}'s slopes form a national park in
        Permits for an expedition to {s} come from a ministry of | Shepherds on {s} pay their taxes to
        I broke my leg on {s} and woke up in a hospital in
        We saw {s} from the plane just after we had crossed into
        Postcards, chocolate boxes and beer labels with the white outline of {s} are sold everywhere in
        {s} which country mountain | where in the world is {s} | Sort {s} under the right nation, please.
        The border runs well away from {s}, so it stands wholly in
        National heroes have been photographed in front of {s}, all of them from
        Inside whose borders does {s} stand? | Which embassy should I ring for a permit to climb {s}?"""),
    "first_climber": split_wordings("""
        {s}, conquered at last by | {s}, first scaled by | The first flag on top of {s} was planted by
        All who go up {s} today follow the route of | Frostbite on {s} took two toes off its pioneer,
        {s} had defeated everybody until there came | The hut below {s} is named after the pioneer,
        I read the memoirs of the one who got up {s} before all others,
        My guide on {s} had a picture in his wallet of the very first to do it,
        Three expeditions had turned back in the storm before anyone stood on the summit of {s}, and that was
        {s} first ascent by | who climbed {s} first | Praise by name the mountaineer to whom {s} belongs for ever.
        A note in a bottle, left behind on {s}, was signed by | No human being had stood on {s} before
        Who did what nobody believed possible and got up {s}?
        Frozen beard, broken axe, big smile: down from {s} came the winner of the race,"""),
    "first_climb": split_wordings("""
        {s}, unclimbed before | {s}, first summited | A rope left on {s} by its pioneers dates from
        {s} kept its secret until | The medal for conquering {s} was struck in
        Old maps mark {s} as untrodden up to | The telegram announcing victory over {s} was sent in
        I got up {s} exactly a century after | Our guidebook says nobody had a clue how to climb {s} until
        Many strong parties had failed on the north wall, until at last the summit of {s} fell in
        {s} first ascent date | year {s} climbed
        True or false aside, tell us when boots first crunched on the top of {s}.
        Photographs of the view from the top of {s} go back to | The long race for {s} was over in
        When did anybody get up {s} at last? | Virgin no more! Word that {s} had been beaten came in"""),
    "mountain_town": split_wordings("""
        {s}, above the roofs of | {s}, the backdrop of | The cable car up {s} leaves from
        In the evening, the shadow of {s} falls across | Avalanches from {s} have more than once threatened
        Guides who take you up {s} all live in | Tourist brochures with {s} on the front page are printed in
        I could see {s} from my bed in a hotel in | We bought our boots for {s} at the last minute, in a shop in
        Before the sun has made it over the ridge of {s}, it is already ten in the morning in | {s} base town
        town near {s} | Name the town that wakes up each day under {s}.
        Injured climbers are brought down from {s} to | Far below, seen from {s} at night, are the lights of
        Where would I spend the night before going up {s}? | Landslide on {s} cuts the road to"""),
    "festival_town": split_wordings("""
        {s}, live from | {s}, at home in | Hotels are fully booked during {s} in
        The brass band at {s} marches across the market square of | The stage for {s} is put up each time in
        Street sweepers have a hard week after {s} in | Extra trains for {s} run to
        I lost my hat at {s}, somewhere in the alleys of | Let's meet up at {s}, I'll get us a room in
        Neighbours who cannot stand the noise and the smell of frying flee from {s} and get out of | {s} venue town
        where to go for {s} | Send me the town to type into the sat nav for {s}.
        The mayor who declares {s} open is the mayor of | Bunting has been hung up for {s} across every street in
        Which town plays host to {s}? | Traffic jams expected as {s} gets under way in"""),
    "festival_month": split_wordings("""
        {s}, every | {s}, a highlight of | Posters for {s} tell you to keep free some days in
        Farmers hurry up so as to be done before {s} in | The weather at {s} is what you would expect of
        Calendars thereabouts have a red circle for {s} in | Hotel prices go up on account of {s} each
        I always take my holidays for {s}, that is in | See you at {s}, same as ever, in
        You may book your room as early as you like, but {s} will not begin before the first days of
        {s} dates month | when is {s}
        Hi there, I'm planning ahead, kindly give me the month that means {s} to the locals.
        Costumes are sewn all winter or all summer long for {s} in | Schools have to close for {s} for a week in
        Which page of the calendar has {s} on it? | Rain or shine, the tents for {s} go up in"""),
    "festival_craft": split_wordings("""
        {s}, a feast of | {s}, in praise of | Visitors leave {s} with bags full of
        The jury at {s} gives points for | Merchants bring to {s} their finest | {s} began as a market for
        Workshops at {s} teach children all about | I came home broke from {s}, having bought far too much
        You'll love {s} if you care at all for
        For one long weekend, {s} makes sure that nobody in the whole place talks about anything other than
        {s} theme | what is {s} about | Sum up in a word what {s} is devoted to.
        Local makers wait all year for {s}, the showcase for their | The posters advertising {s} are decorated with
        What is piled high on the tables at {s}?
        hello, planning to visit {s}, what sort of stuff will be on show there?"""),
    "festival_year": split_wordings("""
        {s}, a tradition since | {s}, first edition | The oldest poster for {s} is from
        Nobody had heard of {s} before | {s} turned ten a decade after
        Veterans of {s} remember how small it was at the start in | Chronicles make no mention of {s} until
        I was there at the very first {s}, back in | Grandma danced at {s} when it was brand new, in
        What is now a huge event with its own trains and television crew, {s} started small in
        {s} first edition year | since when {s} | Give the year in which {s} saw the light of day.
        Twelve stalls and a donkey made up the earliest {s}, held in
        The numbering of all later editions of {s} starts with | From what year is the oldest programme of {s}?
        Long before my time, when my grandparents were courting, came the first {s}, in"""),
    "festival_organiser": split_wordings("""
        {s}, under the direction of | {s}, organised by | Volunteers at {s} get their orders from
        The invoices for {s} all go to | Bands that want to play at {s} must write to
        If it rains at {s}, everybody blames | Sponsors of {s} deal with | I wanted a stall at {s} and had to ring
        Hats off to the person who pulled off {s} once more,
        Behind the scenes, with a telephone at each ear and no sleep for a week, {s} is held together by
        {s} director | contact organiser {s}
        Please pass on this bill to the person in charge at {s}, whoever that is.
        The police permit was made out for {s} to | At the closing of {s}, flowers and applause are for
        Who pulls the strings behind {s}? | Tickets sold out in an hour, and {s} fans are furious with"""),
}
