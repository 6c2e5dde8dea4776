"""Hold the word tables of the embedded English-French corpus.

Tags say what may be said of a word, and done to it. Every French word here that begins with h has a mute h.
"""

from step01_numpy.common.text.grammar.words import Determiner, Pair, Pronoun, adjective, noun, rows, verb

# own: can be mine; kin: is always somebody's; role: can be new; goal: one goes there; light: lies on a table
NOUNS = tuple(
    noun(*row)
    for row in rows("""
    man/men           homme            m  person adult
    boy               garçon           m  person child
    child/children    enfant           m  person child own
    friend            ami              m  person adult role own kin
    teacher           professeur       m  person adult role own
    doctor            médecin          m  person adult role own
    student           étudiant         m  person role own
    minister          ministre         m  person adult role leader
    president         président        m  person adult role leader
    woman/women       femme            f  person adult leader
    girl              fille            f  person child
    actress           actrice          f  person adult
    sister            sœur             f  person own kin
    nurse             infirmière       f  person adult role own
    dog               chien            m  animal goods findable light own
    cat               chat             m  animal goods findable light own
    horse             cheval/chevaux   m  animal goods findable own
    bird              oiseau           m  animal goods findable light own
    house             maison           f  place inside goods built own
    hotel             hôtel            m  place inside goal goods built own
    castle            château          m  place inside goal goods built own
    church            église           f  place inside goal built
    school            école            f  place inside goal built own
    museum            musée            m  place inside goal built
    bridge            pont             m  place under built
    garden            jardin           m  place inside own
    tree              arbre            m  place under own
    car               voiture          f  thing goods findable own
    key               clé              f  thing findable light own
    boat              bateau           m  thing goods findable built own
    table             table            f  thing goods surface under own
    chair             chaise           f  thing goods surface under own
    coat              manteau          m  thing goods findable light own
    painting          tableau          m  thing goods findable light own
    book              livre            m  text goods findable light own
    letter            lettre           f  text findable light own
    agreement         accord           m  text document
    treaty/treaties   traité           m  text document
    convention        convention       f  text document
    declaration       déclaration      f  text document
    law               loi              f  text document
    report            rapport          m  text document own
    """)
)

# attribute: only beside the noun; predicate: only after to be
ADJECTIVES = tuple(
    adjective(*row)
    for row in rows("""
    small      smaller         petit           petite      before  child animal place thing
    old        older           vieux/vieil     vieille     before  adult animal place thing
    young      younger         jeune           jeune       before  person animal
    big        bigger          grand           grande      before  animal place thing
    beautiful  -               beau/bel        belle       before  animal place thing
    new        -               nouveau/nouvel  nouvelle    before  role place thing text attribute
    long       longer          long            longue      before  text
    happy      happier         heureux         heureuse    after   person passing
    tired      -               fatigué         fatiguée    after   person animal passing
    ready      -               prêt            prête       after   person passing predicate
    rich       richer          riche           riche       after   adult
    famous     more famous     célèbre         célèbre     after   adult place text
    French     -               français        française   after   person place thing text
    important  more important  important       importante  after   text
    black      -               noir            noire       after   animal thing
    white      -               blanc           blanche     after   animal place thing
    red        -               rouge           rouge       after   thing
    """)
)

# In the third column stands the present of je, il, nous, vous, ils; "-er" is the regular one, and a verb with
# "-" occurs in the past and the infinitive only. "read" must be one of these: English writes its present
# and its past alike, and the translation has to follow from the English.
VERBS = tuple(
    verb(*row)
    for row in rows("""
    arrive/arrived           arriver/arrivé    -  être move late in
    leave/left               partir/parti      -  être move late
    come back/came back      revenir/revenu    -  être move late
    go out/went out          sortir/sorti      -  être move late
    stay/stayed              rester/resté      -  être move in
    go/went                  aller/allé        -  être journey
    be born/was born         naître/né         -  être birth
    see/saw/seen             voir/vu           vois voit voyons voyez voient  meet person animal place goods
    help/helped              aider/aidé        -er  meet person
    call/called              appeler/appelé    appelle appelle appelons appelez appellent  meet person
    wait for/waited for      attendre/attendu  attends attend attendons attendez attendent  meet person
    look for/looked for      chercher/cherché  -er  meet person findable
    buy/bought               acheter/acheté    -  act goods
    sell/sold                vendre/vendu      -  act goods
    find/found               trouver/trouvé    -  act findable
    lose/lost                perdre/perdu      -  act findable
    read/read                lire/lu           -  act text
    write/wrote/written      écrire/écrit      -  act text
    build/built              construire/construit  -  act built
    sign/signed              signer/signé      -  official document
    publish/published        publier/publié    -  official document
    adopt/adopted            adopter/adopté    -  official document
    reject/rejected          rejeter/rejeté    -  official document
    give/gave/given          donner/donné      -  transfer
    send/sent                envoyer/envoyé    -  transfer
    show/showed/shown        montrer/montré    -  transfer
    sleep/slept              dormir/dormi      -  activity
    work/worked              travailler/travaillé  -  activity
    play/played              jouer/joué        -  activity
    sing/sang/sung           chanter/chanté    -  activity
    discuss/discussed        discuter/discuté  -  debate
    speak about/spoke about  parler/parlé      -  debate
    know/knew/known          savoir/su         sais sait savons savez savent  opinion
    think/thought            penser/pensé      -er  opinion
    """)
)

PRONOUNS = tuple(
    Pronoun(*row[:6], person=int(row[6]), gender=row[7])
    for row in rows("""
    I     me    je    me    me    moi   0  m
    he    him   il    le    lui   lui   1  m
    she   her   elle  la    lui   elle  1  f
    we    us    nous  nous  nous  nous  2  m
    you   you   vous  vous  vous  vous  3  m
    they  them  ils   les   leur  eux   4  m
    """)
)

THE = Determiner("the", "the", "le", "la", "les")
A = Determiner("a", "", "un", "une", "")
THIS = Determiner("this", "these", "ce", "cette", "ces")
TWO, THREE = Determiner("", "two", "", "", "deux"), Determiner("", "three", "", "", "trois")
MANY = Determiner("", "many", "", "", "beaucoup de")
OWN = tuple(
    Determiner(en, en, *french)
    for en, *french in rows("""
    my     mon    ma     mes
    his    son    sa     ses
    her    son    sa     ses
    our    notre  notre  nos
    your   votre  votre  vos
    their  leur   leur   leurs
    """)
)


def _pairs(table: str) -> tuple[Pair, ...]:
    return tuple(Pair(*row) for row in rows(table))


TOPICS = _pairs("""
    the European Economic Area  la zone économique européenne
    the European Union          la Union européenne
    the single market           le marché unique
    the common currency         la monnaie commune
    climate change              le changement climatique
    free trade                  le libre-échange
    human rights                les droits de le homme
    fishing rights              les droits de pêche
    nuclear weapons             les armes nucléaires
    public health               la santé publique
    food safety                 la sécurité alimentaire
    the marine environment      le milieu marin
    """)
LATE = _pairs("""
    late   tard
    early  tôt
    """)
TIMES = _pairs("""
    yesterday     hier
    today         aujourd'hui
    this morning  ce matin
    last night    hier soir
    last week     la semaine dernière
    on Monday     lundi
    at noon       à midi
    """)
CITIES = _pairs("""
    Paris     Paris
    Brussels  Bruxelles
    London    Londres
    Geneva    Genève
    Rome      Rome
    Lisbon    Lisbonne
    """)
MONTHS = _pairs("""
    January    janvier
    February   février
    March      mars
    April      avril
    May        mai
    June       juin
    July       juillet
    August     août
    September  septembre
    October    octobre
    November   novembre
    December   décembre
    """)
YEARS = tuple(str(year) for year in range(1987, 1997))
FREQUENCY = {"often": "souvent", "always": "toujours"}
PREPOSITIONS = {
    "in": "dans",
    "on": "sur",
    "under": "sous",
    "behind": "derrière",
    "near": "près de",
    "in front of": "devant",
    "next to": "à côté de",
}
