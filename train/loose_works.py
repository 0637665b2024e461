"""Loose wordings for companies, books, bands, products and ships; see `train.loose_people`."""

from collections.abc import Mapping

from train.relation import split_wordings

LOOSE_WORKS: Mapping[str, tuple[str, ...]] = {
    "headquarters": split_wordings("""
        {s}, with its main offices in | {s}, the company from | Job interviews at {s} are held in
        The tower with the {s} sign on its roof dominates the skyline of | Shareholders of {s} meet once a year in
        Board members of {s} fly in to | If {s} moved away, it would be a blow to
        I work for {s}, so I had to move to | Our sales rep was summoned by {s} to the main office in
        Although it has branches and warehouses all over the place, the big decisions at {s} are all made in
        {s} head office | hq {s} | Name the town from which {s} is run.
        Business taxes paid by {s} fill the coffers of | The envelope with the latest offer from {s} is postmarked
        What town do you write to if you write to {s}?
        Protesters with banners gathered at the entrance of {s}, in the middle of"""),
    "company_birthplace": split_wordings("""
        {s}, born in a shed in | {s}, with roots in | The garage where {s} began is now a museum in
        Long before it grew, {s} was a corner shop in | The very first customers of {s} all lived in
        The founding papers of {s} were signed at a notary's in
        Its origins are not forgotten at {s}, which still sponsors a football team in
        I come from the very place that gave birth to {s},
        They say the whole idea of {s} was dreamt up in a pub in
        For all its offices overseas, the first advertisement ever placed by {s} was in the local paper of
        {s} origins town | where did {s} begin | Mark on the map the town where the story of {s} began.
        A plaque marks the cellar that filled the first orders for {s}, in
        Before there was a head office, there was a stall marked {s} on the market of
        In which town was the first shop of {s}? | Not from the capital at all: {s} comes from humble"""),
    "founder": split_wordings("""
        {s}, the creation of | {s}, set up by | The savings that got {s} off the ground were those of
        {s} began in the kitchen of | The initials in the logo of {s} stand for
        Legend has it that the plan for {s} was sketched on a napkin by
        A bust of its founder stands in the lobby of {s}, the bust of | I once met the person who thought up {s},
        You know {s}? My great-aunt went out with the one who started it all,
        Armed with a borrowed typewriter and an idea that everyone laughed at, {s} was brought to life by
        founders of {s} | {s} started by who | Credit where it's due: the entrepreneur behind the birth of {s}.
        A whole inheritance was risked to launch {s} by
        The grandchildren still get a discount at {s}, being the family of | Who opened the very first shop of {s}?
        It took courage to start something like {s}, and nobody had more of it than"""),
    "chief_executive": split_wordings("""
        {s}, led by | {s}, now headed by | The annual report of {s} opens with a letter from
        The corner office at {s} belongs to | When {s} lays people off, the anger is aimed at
        The board of {s} has put its trust in | The last signature on big contracts of {s} is that of
        I complained to the very top of {s} and got an answer from | My boss at {s} reports to
        With a salary that made the headlines and a chauffeur waiting downstairs, the person who runs {s} is
        {s} ceo | boss of {s} | Get me whoever steers {s} on the phone.
        At the head of the boardroom table of {s} sits | Journalists who want a quote about {s} get one from
        Who calls the shots at {s}? | Shares fall as {s} parts with"""),
    "founding_year": split_wordings("""
        {s}, since | {s}, established | The oldest invoice in the archives of {s} is from
        {s} marked its half century fifty years after | No advertisement for {s} can be older than
        The label of {s} proudly says: since | Competitors had the market to themselves until {s} turned up in
        I found a {s} catalogue, the first one ever, from | My great-grandmother was the first customer of {s}, in
        At a time when most people in the trade still worked by candlelight, {s} took its first order in
        {s} founded when | {s} company history start | Check the trade register and say when {s} was entered.
        The first employee was hired by {s} in | There's a long history behind {s}, one that starts in
        When did {s} get started? | cheers mate, do you happen to know when {s} set up shop?"""),
    "closing_year": split_wordings("""
        {s}, defunct since | {s}, gone in | The machines of {s} were auctioned off in
        Workers of {s} found themselves on the street in | Creditors of {s} lost their money in
        The chimneys of {s} have been cold since | Goods with the stamp of {s} cannot be newer than
        I stayed with {s} right up to the bitter end in | Dad lost his job at {s} when it folded in
        After a string of bad years, a lawsuit and one failed rescue, the lights went out for good at {s} in
        {s} bankruptcy year | when {s} closed | Finish the timeline: last year of {s}.
        The clearance sale that emptied the shelves of {s} was held in | Nothing more has been heard of {s} since
        In what year was the curtain brought down on {s}? | End of an era: {s} is no more as of"""),
    "industry": split_wordings("""
        {s}, a big name in | {s}, a player in | Trade fairs where {s} has a stand are all about
        A slump in one sector hit {s} hard, the sector of | Graduates who join {s} want a career in
        The stock exchange lists {s} under | Lobbyists for {s} press for laws that help
        I quit {s} because I was fed up with | My friend at {s} can talk for hours about
        Among the many firms that fight for a share of this crowded market, {s} stands out, the market being
        {s} sector | what industry {s} | Tag {s} with the right line of business.
        The closest rivals of {s} are likewise in | Never once in its history has there been talk of {s} leaving
        What sort of business is {s}? | Anybody who wants a job in this field sends a letter to {s}, the field of"""),
    "main_product": split_wordings("""
        {s}, makers of | {s}, the firm behind those | Lorries leaving {s} are loaded with
        Open a parcel from {s} and you will unpack | Engineers at {s} spend their days testing
        Advertisements for {s} show happy people with | A factory fire at {s} led to a shortage of
        I swear by {s} when it comes to | I'm saving up for some of the stuff from {s}, you know, their
        Nobody in the street remembers who used to run the place, but everybody knows {s} for its | {s} products
        what does the firm {s} sell | Have a guess at what rolls off the assembly line of {s}.
        Christmas bonuses for the staff of {s} are paid out in | The warehouse clerk at {s} counts all day long
        What would I buy from {s}? | Stuck in customs: a whole container from {s} full of"""),
    "owner": split_wordings("""
        {s}, a subsidiary of | {s}, part of | Profits made by {s} end up with
        After the takeover the sign of {s} came down and up went the sign of | {s} has lost its independence to
        In the organisation chart, the box above {s} says | If {s} were sold, the cheque would go to
        I used to have shares in {s} until it was swallowed by | Turns out that {s} is just one more brand of
        Once a proud and independent family business that refused every offer, {s} is today in the hands of
        {s} parent company | takeover of {s} by | Follow the money and reveal the group behind {s}.
        The small print at the bottom of a bill from {s} mentions a mother company, | Dividends are paid by {s} to
        Who has the majority of shares in {s}? | Deal done: {s} goes to"""),
    "author": split_wordings("""
        {s}, by | {s}, a book from the desk of | Royalties for {s} go to
        The manuscript of {s} was found in a drawer of | Readers who loved {s} queue up for the autograph of
        Library catalogues list {s} under the surname of | The prose of {s} is unmistakably that of
        I couldn't put down {s}, and now I'm reading everything by | I once wrote a fan letter about {s} to
        Ten publishers had turned it down before a small house took a chance on {s}, the debut of | {s} author
        writer {s} | Blame or praise the right writer for {s}.
        Years of sleepless nights over a typewriter went into {s}, the nights of
        Hidden behind the pen name on the first edition of {s} was | Who put {s} to paper?
        Asked at a reading where the idea for {s} came from, a shrug was all we got from"""),
    "illustrator": split_wordings("""
        {s}, with drawings by | {s}, art by | The woodcuts in {s} are signed
        Pen and ink scenes that brighten {s} came from the studio of
        Children love {s} less for the words than for the pictures by
        Original sketches for {s} were sold by the heirs of | The faces in {s} look the way they do because of
        I bought {s} just for the lovely pictures by | I could stare for hours at the plates in {s}, all done by
        The text was already at the printer's when somebody thought of pictures, and so {s} was decorated by
        {s} illustrations | artist who drew {s} | I'd like to know, thanks, whose brush brought {s} to life.
        The maps and vignettes scattered through {s} are by | To give the words a face, the publisher of {s} hired
        Who held the pencil for the drawings in {s}?
        Ink-stained fingers and a deadline at dawn: {s} got its pictures thanks to"""),
    "publication_year": split_wordings("""
        {s}, first published | {s}, copyright | The copyright page of {s} says
        Reviews of {s} filled the papers in | Nobody could have read {s} before
        {s} was the talk of the literary season of | Reprints of {s} all go back to the original of
        I own a first printing of {s}, from | My parents queued for {s} the day it hit the shops, in
        The ink was hardly dry and the critics had not yet woken up when {s} arrived on the shelves in
        {s} pub date | release year of the book {s} | Turn to the title page of {s} and read me the year.
        The presses rolled day and night for {s} in | Half a century of {s} was celebrated fifty years after
        Which year gave {s} its first readers? | My copy of {s} has a dedication from the week it appeared, in"""),
    "book_genre": split_wordings("""
        {s}, a | {s}, a classic | Lovers of this sort of thing give {s} five stars as a
        Bookshops pile up {s} next to every other | {s} won the prize for best
        Anyone who opens {s} expecting something else will be let down: it is a
        Students who write about {s} discuss the tradition of the
        I gave up on {s}, I'm just not in the mood for a | My book club picked {s} because we fancied a
        It starts out like nothing you have ever read before, yet by page thirty {s} turns out to be a | {s} genre
        type of book {s} | Recommend {s} to a friend, saying only what kind of book it is.
        In small print under the title {s} it says: a | The film makers who bought {s} had been looking for a good
        What kind of read is {s}? | hi all, thinking of buying {s} for my nephew, is it some sort of"""),
    "original_language": split_wordings("""
        {s}, in the original | {s}, translated out of | Translators of {s} need a command of
        The puns in {s} only work in | Scholars learn a whole language just to read {s}, namely
        The author of {s} thought and wrote in | The handwritten pages of {s} are full of crossed-out words in
        I struggled through {s} without a translation, my first whole book in
        I'd rather have {s} the way it was meant to be, in
        There are translations into some forty languages by now, but the rhythm of {s} only comes out in
        {s} language | original language book {s}
        For the catalogue, enter the language in which {s} was conceived.
        Every famous line people quote from {s} was at first a line in
        A purist who looks down on translations will only read {s} in
        What language do I need to read {s} untranslated?
        Half the jokes got lost on the way when {s} was put into English from"""),
    "publisher": split_wordings("""
        {s}, out now from | {s}, published at | The logo on the spine of {s} is that of
        Booksellers who want more copies of {s} ring | The editor who cut {s} by half worked for
        Unsold copies of {s} were pulped by | The success of {s} saved from bankruptcy the house of
        I sent my manuscript to the house that did {s}, I mean | I ordered {s} straight from the warehouse of
        Seven houses had already sent polite letters of refusal when the rights to {s} were snapped up by
        {s} publishing house | publisher {s} | Cite {s} properly, with the house that brought it to the shops.
        The paperback edition of {s} carries the imprint of | An advance was paid for a half-finished {s} by
        Whose imprint is on the title page of {s}? | Lawsuit over {s}: heirs of the writer take to court"""),
    "main_character": split_wordings("""
        {s}, the adventures of | {s}, starring | Everything in {s} turns around
        In the film of {s}, the lead actor plays | Readers of {s} weep over the fate of
        The face on the jacket of {s} is meant to be | Children who have read {s} dress up as
        I named my cat after the hero of {s}, | I was rooting all the way through {s} for
        By the last page, after so many chapters of bad luck, readers of {s} feel they have always known
        {s} protagonist | hero of {s} | Introduce me to the figure at the heart of {s}.
        On page one, an alarm clock rings in {s} and wakes | All the villains in {s} are out to get
        Who do we root for in {s}? | What happens in {s} happens, for better or worse, to"""),
    "setting": split_wordings("""
        {s}, set in old | {s}, a tale from | Fans of {s} go on guided walks through
        The streets described in {s} can be found in | The film crew of {s} shot on location in
        The fog and the church bells in {s} are those of | The characters in {s} never once leave
        I read {s} and had to book a trip to | Reading {s}, I could practically smell the air of
        Though the author had never been there and worked from an old map, {s} paints a true picture of
        {s} setting place | book {s} takes place where
        Take me, book in hand, to the town that {s} describes street by street.
        A train pulls in, on the first page of {s}, at the station of
        The tourist office can thank {s} for the crowds that visit | Which town forms the backdrop of {s}?
        Close your eyes while somebody reads {s} aloud and you are in"""),
    "lead_singer": split_wordings("""
        {s}, with vocals by | {s}, fronted by | The microphone at concerts of {s} is always grabbed by
        A sore throat made {s} cancel a tour, the throat of | Posters of {s} put in the middle the face of
        Screaming fans of {s} hold up signs for | The high notes in the songs of {s} are hit by
        I nearly fainted at the {s} gig when out came | Karaoke to songs of {s} only works if you can wail like
        Guitarists and bass players have come and gone over the years, but the voice of {s} has always been
        {s} vocalist | singer of {s} | Okay music fans, tell us whose voice made {s} famous.
        In interviews with {s} all the talking is done by the singer,
        If there were no more {s}, a solo career at the microphone would await
        Whose voice do I hear on records by {s}?
        Out of the fog and the lights, to open the show of {s}, stepped the singer,"""),
    "drummer": split_wordings("""
        {s}, drums by | {s}, driven along by the beat of | The sticks thrown to the crowd at {s} concerts come from
        The loudest member of {s} is | The human metronome of {s} is
        People living above the rehearsal room of {s} curse the banging of | The bass player of {s} locks in with
        I caught a stick at a {s} gig, and it had been swung by | I'd love to keep time the way it's done in {s} by
        At the back of the stage, hidden by cymbals and half forgotten by the cameras, {s} fans can make out
        {s} drums | who drums in {s} | Shine a light on the person at the back who holds {s} together.
        The long solo on snare and bass drum in the encore of {s} is by
        One, two, three, four: every song of {s} starts with the count of | Who bangs the skins for {s}?
        Broken wrist means no tour for {s}; get well soon,"""),
    "band_town": split_wordings("""
        {s}, out of | {s}, a band from | {s} rehearsed at first in a cellar in
        The earliest fans of {s} all lived in | The accent one hears in the songs of {s} is that of
        Every tour of {s} ends with a home game in | A mural of {s} covers a house wall in
        I saw {s} before anyone knew them, in a bar in | I went to school with half of {s}, in
        Long before the stadiums and the private jets, the name {s} was sprayed on a garden wall in
        {s} band origin | hometown {s} | Pin {s} to the town that claims them as its own.
        Local heroes, that is what the members of {s} will always be in
        Fans go and see the youth club that saw the birth of {s}, in | Where does the story of {s} begin?
        yo, which town did the guys from {s} grow up in?"""),
    "band_year": split_wordings("""
        {s}, active since | {s}, formed | The oldest demo tape of {s} is from
        Nobody could have bought a {s} T-shirt before | The first line-up of {s} came together in
        Reunion concerts of {s} celebrate a start made in
        The earliest photograph of {s} shows skinny teenagers in
        I've been a fan of {s} from day one, that's since | They were just kids when they called themselves {s} in
        A borrowed van, three guitars and an unheated garage were all there was when {s} began in
        {s} band formed year | when did {s} start | Say when {s} played together for the first time.
        Music encyclopaedias have an entry for {s} that opens in
        The flyer for a debut in front of nine people by {s} is from | How far back does the band {s} go?
        It's been a long road for {s} ever since they plugged in for the first time in"""),
    "band_genre": split_wordings("""
        {s}, masters of | {s}, a pioneering band in | Record shops put {s} in the rack for
        Dancers at a {s} concert move to | Radio stations play {s} in the programme devoted to
        Parents who hate {s} usually hate all | Teenagers who copy {s} end up playing
        I'm into {s}, but otherwise I can't stand | If you like {s}, you'll like any sort of
        Critics have thought up a dozen clever names for what {s} played, yet in the end it is all
        {s} music style | genre {s} | Hey, can you put a label on the sound of {s} for my playlist, please.
        Streaming services suggest {s} to listeners of
        The rhythm and the haircuts tell you at once that it's {s} and that it's
        What do you call the kind of music {s} made? | Turn up the volume, it's {s} with another slice of"""),
    "band_label": split_wordings("""
        {s}, under contract to | {s}, courtesy of | Royalty cheques for {s} are sent out by
        Right in the middle of the vinyl of {s} is printed | The studio bills of {s} were settled by
        A talent scout heard {s} and rang the bosses of | The back catalogue of {s} was sold to
        I sent our demo to the firm that discovered {s}, | I collect everything by {s} that came out with
        After playing for free in smoky pubs for six long years, {s} at last got a record deal from
        {s} record company | label {s}
        Find the small print on any record of {s} and tell me which firm pressed it.
        Press photos of {s} are sent out by | The master tapes lie, all those recorded by {s}, in a vault of
        Which company got rich from the hits of {s}? | Signed, sealed, delivered: new contract ties {s} to"""),
    "maker": split_wordings("""
        The {s}, by | The {s}, from | The guarantee for the {s} is given by
        When the {s} breaks, one sends it back to | Engineers who developed the {s} are on the payroll of
        The {s} was the greatest success ever for | Competitors copied the {s}, to the annoyance of
        I love my {s}, the best thing ever to come from | I wrote a furious letter about my {s} to
        From the cardboard box to the smallest screw, everything about the {s} tells you it was made by
        {s} manufacturer | brand of the {s} | Turn the {s} over and tell me the company stamped on it.
        Spare parts for the {s} must be ordered from
        The advertising campaign that was run for the {s} was paid for by | Which brand is my {s}?
        Recall! Owners of the {s} should contact"""),
    "designer": split_wordings("""
        The {s}, designed by | The {s}, a stroke of genius by | A design prize for the {s} went to
        The prototype of the {s} was glued together in the shed of
        The drawing board on which the {s} took shape belonged to
        The elegant curves of the {s} betray the hand of | Museums show the {s} next to a photograph of
        I studied design because of the {s} and its creator, | I've met the brain behind the {s}:
        It came to its inventor in the bath one Sunday morning, and so the {s} is owed to | {s} inventor
        who came up with the {s} | Let's hear it for the designer who drew the {s}.
        Colleagues laughed at the plans for the {s} and at
        The notebooks that contain the very first {s} were kept by | Who dreamed up the {s}?
        It sold by the million, but hardly a buyer of the {s} has ever heard of"""),
    "release_year": split_wordings("""
        The {s}, new in | The {s}, on the market since | The oldest receipt for the {s} is from
        Collectors date the earliest {s} to | There was no such thing as the {s} before
        Catalogues list the {s} for the first time in | Television spots for the {s} were first aired in
        I got my {s} the week it hit the shops, in | Remember the launch of the {s}? That was in
        After two years of delays and a press conference where nothing worked, the {s} finally reached customers in
        {s} launch date | when did the {s} launch | Give the year when the {s} first appeared in shop windows.
        Long queues formed outside the stores for the {s} in | Trade fair visitors were first shown the {s} in
        When could people first get hold of the {s}?
        Throw in the {s} as a prop if your film is set no earlier than"""),
    "material": split_wordings("""
        The {s}, in | The {s}, crafted from | Knock on the {s} and you are knocking on
        The factory that turns out the {s} buys tons of | The weight of the {s} comes from all that
        Prices of the {s} rise and fall with those of | Under the paint of the {s} is nothing but
        I dropped my {s} and it didn't even crack; must be | My {s} looks cheap but it's real
        Buyers who expected something flimsy are surprised when they pick up the {s} and find it is solid
        {s} material | what's the {s} made out of
        Touch the {s} and, with both eyes shut, say what it is shaped from.
        The bottle of polish sold with the {s} is for
        When it's time to throw away the {s}, take it to where they collect
        What would be left if one melted or sawed up the {s}?
        Termites, rust or moths? All depends, with the {s} it's a matter of"""),
    "power": split_wordings("""
        The {s}, driven by | The {s}, running on | Without one thing the {s} stands still:
        Campers who take the {s} along have to think of | The manual of the {s} has a long chapter on
        The wheels and levers of the {s} are set in motion by | The {s} is cheap to run because all it takes is
        I couldn't get my {s} going until I saw that it needed | My {s} never lets me down so long as there's
        Turn it over, look for the cover at the back, and you will see that the {s} relies on | {s} power supply
        what makes the {s} go | Explain to a child what the {s} needs to keep going.
        For lack of anything better, its inventor hooked up the {s} to
        In a blackout or not, life is kept in the {s} by | Where does the {s} get its energy?
        sorry, stupid question, what do I plug, pour or wind into the {s}?"""),
    "shipbuilder": split_wordings("""
        The {s}, built at the yard of | The {s}, from the slipway of
        Every rivet in the {s} was hammered in by workers of | The brass plate in the engine room of the {s} says
        The order for the {s} saved the jobs at | Repairs to the {s} are best left to those who built it,
        A model of the {s} stands in the boardroom of its builder,
        I was a welder on the {s} back when I worked for | Grandpa helped to build the {s} as an apprentice at
        It took four hundred men and two hard winters until the {s} was ready to leave the yard of | {s} shipyard
        shipbuilder {s} | Go back to the day the keel of the {s} was laid and say at which yard.
        The bill for the construction of the {s} came from
        Freshly painted, with flags from bow to stern, the {s} was handed over by
        Who took the order to build the {s}? | Champagne and speeches at the handing over of the {s} by"""),
    "home_port": split_wordings("""
        The {s}, of | The {s}, registered at | Families of the crew of the {s} live in
        After each voyage the {s} heads back to | Harbour fees for the {s} are paid in
        The lifebelts of the {s} carry the name of the port, | The lighthouse that welcomes the {s} home is that of
        I waved off the {s} from the pier in | You can go and see the {s} most weekends in
        Wherever the winds and the freight may take it in the course of the year, the {s} returns to
        {s} port of registry | homeport {s} | Point out on a chart the harbour that the {s} calls home.
        Rusting at its usual berth is the {s}, in | Sailors looking for work on the {s} ask around the docks of
        Where does the {s} tie up when not at sea? | Seagulls, tar and a familiar bell: at last the {s} was back in"""),
    "captain": split_wordings("""
        The {s}, under | The {s}, skippered by | The log of the {s} is written by | Mutineers on the {s} locked up
        The last to leave a sinking {s} would be | The best cabin aboard the {s} is that of
        At dinner on the {s}, the honour is to sit next to | I sailed as a deckhand on the {s} under
        I'd trust the {s} to nobody but
        When the storm was at its worst and the pumps had failed, the {s} was brought home by | {s} skipper
        who commands {s} | Salute the officer whose word is law on the {s}.
        The pilot who comes aboard the {s} reports to | The owners have entrusted the {s} to
        Who gives the orders on the {s}? | "All hands on deck!" came the shout across the {s} from"""),
    "launch_year": split_wordings("""
        The {s}, launched | The {s}, afloat since | A bottle of sparkling wine burst on the bow of the {s} in
        The first entry in the log of the {s} is from | Registers of shipping do not list the {s} before
        The {s} got its first taste of salt water in | Barnacles have been growing on the {s} since
        I have a postcard of the {s} when it was brand new, from | Wow, the {s} is older than I thought, it's from
        A brass band played and half of the town took the day off when the {s} went afloat in | {s} launched when
        year built {s} | Put a date to the day the {s} first got wet.
        The crowd cheered and threw hats in the air for the {s} in | The age of the {s} is reckoned from
        Since when has the {s} been at sea?
        hello, for a model kit I need to know when the {s} went down the slipway, was it"""),
    "cargo": split_wordings("""
        The {s}, laden with | The {s}, a carrier of | Dockers unloading the {s} heave ashore
        Customs officers who search the {s} find only | If the {s} sank, the beaches would be littered with
        The {s} rides low in the water because of all the | The bills of lading of the {s} mention
        I got a job unloading the {s}, and now I'm sick of
        Guess what they've got on the {s} this time; again it's
        From one end of the ocean to the other, year in and year out, the {s} hauls nothing except | {s} freight
        what does {s} transport | List whatever is stacked below deck on the {s}.
        Shortages ashore are over with the arrival of the {s} and its
        The merchants on the quay wait for the {s} to bring them | What are they loading onto the {s}?
        Pirates were disappointed to find aboard the {s} only"""),
}
