"""How much and how many at most, in the server half; the contract's are in `titik_wire.limits`.

Rule: what is above is cut, refused or forgotten. How much at a time stands where it is done.
"""

from titik_wire.instant import DAY_MS

# The configuration, and what may be put into it.
MAX_CONFIG = 8 << 20  # bytes, far above 10,000 routers; bounds what a wrong path can make us read
MAX_SITES = 10_000
MAX_TAGS = 20  # of a site, and of a router
MAX_ROUTERS = 100_000
MAX_SETTINGS = 10_000  # tables of them
MAX_ENGINEERS = 1000
MAX_ROUTES, MAX_ROUTED = 100, 1000  # who gets messages; and the names that one of them lists
MAX_OUTSIDE = 5  # addresses that the server's line is tested with
MAX_STEPS = 2  # of an escalation: after half an hour, and after two hours
MAX_RECEIVERS = 50  # each has a thread; a rota is no thread
MAX_ROTAS, MAX_ROTA = 20, 50
MAX_SECRET_FILE = 4096  # characters
MAX_PASSWORD_FILE = 4096  # characters
MAX_STORE_SERVERS = 5  # each that is gone holds a collector up for some seconds
MAX_SESSION_NAME = 63  # PostgreSQL cuts off what is longer
MAX_SCHEMA = 63  # PostgreSQL cuts off what the name of one has more
MAX_HOST = 253  # characters of a DNS name

# What the broker and its trials may take, and what is kept of them.
MAX_COLLECTOR_MEMORY = 2 << 30  # bytes; of a backup too, which reads as much of the store
MAX_PAGE_MEMORY = 1 << 30  # 500 streams take 60 MB, each check of a password 32, and a PDF the most
MAX_RENEWAL_MEMORY = 512 << 20
MAX_PDF_MEMORY = 640 << 20  # one of 400 places has 384 MB; above its unit's limit the page ends
MAX_TASKS, MAX_COLLECTOR_TASKS = 16, 32  # threads and processes of a unit
# A lane for each of 50 receivers, and 46 MB for each message that Apprise sends at the moment.
MAX_NOTIFY_MEMORY, MAX_NOTIFY_TASKS = 1 << 30, 256
MAX_PAGE_TASKS = 64  # forty of them serve the public folder, where the page does
MAX_OPEN_FILES = 65536  # the usual 1024 ends at the 1,018th router
MAX_MEMORY = 1 << 30  # bytes, far above a city's queues; a flood must not take the machine with it
# What the broker queues for a client. Its default of 1000 drops QoS 1 in silence; this is what
# 1,000 routers send in 50 minutes.
MAX_QUEUED = 100_000  # messages
MAX_QUEUED_BYTES = 128 << 20
MAX_DAMAGED = 3  # databases moved aside
MAX_BACKUPS = 14  # of the nights
MAX_COMMANDS = 16_000  # bytes of those in one message, below MAX_PACKET
# What a city's other brokers are sent: 1.5 kB of each certificate, of MAX_ROUTERS twice.
MAX_TWINS, MAX_PARCEL, MAX_PARCELLED = 3, 300 << 20, 16 << 20  # brokers; bytes; of one file
MAX_CANARIES = 100  # of an upgrade
MAX_TWIN = 400  # characters of where one is

# What is received.
MAX_RECEIVED = 10_000  # messages before an answer: ten batches
MAX_BATCH = 1000  # messages
MAX_NESTING = 300  # a sample cannot have more lists and objects; Python reads some 900
MAX_UPTIME_MS = 10 * 366 * DAY_MS  # no router runs longer without a reboot
# Samples of a run that were heard of without its uptime: a year of them, one each 30 s.
MAX_LEAP = 1_000_000
MAX_SPOOLED = 10_000_000  # records; a spool of a gigabyte has fewer
MAX_CLIENTS = 65_535  # more cannot be; bounds the sums that a broken router can cause
# Samples are kept about as long. Bounds how far back a router's uptime can make us look.
MAX_BRIDGE_MS = 31 * DAY_MS
MAX_AHEAD_MS = 120_000  # a clock that is later than the arrival by more is not believed
# Nor one by which the boot began so much earlier than it did. What messages take is in it; a clock
# that was not set since drifts by less than a thousandth.
MAX_BEHIND_MS = 30_000
MAX_STEP_MS = MAX_AHEAD_MS + MAX_BEHIND_MS  # a believed clock is set by at most so much

# Rows that a router, or who has its key, can make.
MAX_NEW_INTERFACES = 1000  # per router and hour; each makes a row that stays
MAX_REVISION = 2**40  # of a wish, believed of a router; a change each ms takes 35 years to it
MAX_OPEN_RUNS = 64  # per router; an ack lists MAX_RUNS of them
# Far above what outages and reordering make of an honest run; each write looks at all of them.
MAX_RANGES = 256
MAX_MALFORMED = 1000  # messages, the newest
MAX_MALFORMED_HEAD = 512  # bytes of a payload
MAX_MALFORMED_TEXT = 256  # characters of a topic and of a rule
MAX_UNKNOWN = 20  # routers by name; the rest are a count
MAX_NOTES = 10_000_000  # of changed rows while a store is copied; below half a gigabyte of its disk

# What is kept in memory.
MAX_PAGES_KIB = 65536  # of the database; what a collector holds of a large store
MAX_KNOWN_IDS = 100_000
# Settings and report of each router, 0.8 kB each. All are asked for in turn: half would serve none.
MAX_KNOWN_WISHES = 25_000
MAX_HOURS, MAX_MIDNIGHTS = 8192, 512  # of the calendar: a day asks for the same few 1440 times
MAX_KNOWN_RUNS = 40_000  # between batches: several for each of 10,000 routers
MAX_KNOWN_INTERFACES = 100_000
MAX_NEWEST = 20_000  # samples, one of each boot that reports; 1 kB each
MAX_ENDED = 5000  # changes of alerts whose topics are cleared on a connect, the newest
MAX_RECENT_CHANGES = 50_000  # of alerts in an hour; 2,000 routers that flap make 24,000
MAX_KNOWN_HOURS = 1000  # opening hours; many sites have the same
MAX_ROUNDS = 32  # of tests of a router's internet: 5 minutes have ten
MAX_KNOWN_TOPICS = 20_000  # two or three for each router
MAX_LOSSES = 20_000  # what runs lost stays known while their routers are away
MAX_DEVICES = 4  # with a router's key that are remembered, by their runs

# How often Python looks for circles of objects that nothing else refers to. A batch makes none. By
# default a sixth of the time of rollups went there.
CIRCLES = (20_000, 20, 100)

# One transaction or step.
# Boots that one batch looks through; the rest wait for their next sample. A boot of a month takes
# 0.1 s, and after an upgrade all boots of a city are due.
MAX_JUDGED = 10
MAX_PASS = 500  # routers whose rollups are computed together
MAX_PASS_MINUTES = 2000  # of their time in all: 0.3 s
MAX_SPANS = 2000  # of these routers
MAX_LOOKS = 10  # for such spans, in one step: where bugs stop more routers, the next goes on
MAX_SUMMED = 20_000  # minutes of routers that are summed to minutes of sites
MAX_SITE_HOURS = 1000
MAX_COUNTS = 8  # that one run began within a day; a router's day is as long as the city's
MAX_PUBLISHED = 1000  # windows, every two seconds: 10,000 routers have 12,500 in a minute
MAX_RESTAMPED = 100_000  # samples, newest; more come only where no router has a clock for days
MAX_SEARCHED = 10_000  # samples of an outage

# What waits to be sent.
MAX_UNSENT = 256  # messages that leave in one write, some 100 kB
MAX_CARRIED = 50_000  # things of 1 kB: `now` and presence of 10,000 routers at once

# What is shown and logged.
MAX_LISTED = 12  # users in a line
MAX_NAMED = 20  # routers or sites in a line
MAX_PAGED = 5  # of them in the line for a pager, which shows no more
MAX_REASON = 200  # characters of an output's error
MAX_SHOWN = 80  # characters of a wrong value
MAX_STATE = 2048  # bytes of the collector's state; two problems of MAX_PROBLEM characters fit
MAX_PROBLEM = 300  # characters of one in the collector's state
MAX_FINDINGS = 100
MAX_VERSION_LABELS = 30  # pairs of agent and firmware
MAX_VERSIONS = 5  # of agents in a line, the most frequent
MAX_ROWS = 60  # of a table unfolded, where no terminal says how many fit
MAX_PROBLEMS = 200  # lines; `titik status --json` has all
MAX_WINDOWS = 11_000  # of a history: a week of minutes, a year of hours
MAX_INCIDENTS_SHOWN = 500  # of `titik alerts`
MAX_EVENTS = 2000  # newest; more are for `titik export` and the database's views

MAX_MEMBERS = 20  # places or routers in one message, which is read on a phone

# What the page takes.
MAX_REQUEST_HEAD = 16 << 10  # bytes; a browser's cookies and address fit many times
MAX_BACKLOG = 2048  # connections that wait to be accepted; the kernel's own limit may be lower
MAX_KEPT_ANSWERS = 256  # of the past, by the page's server
MAX_KEPT_BYTES = 32 << 20  # of theirs together
MAX_COMPARED = 6  # places in one chart; more lines look alike
MAX_STRIP = 400  # days
MAX_ASKED = 10_000  # windows of one answer: a year of hours, a week of minutes
MAX_RANKED = 500_000  # windows that the database adds up: a year of days of 1,300 places
# Days of routers that availability reads hour by hour; a bad month of a city of 1,000 routers has
# a third of them.
MAX_EVIDENCE = 10_000
MAX_REPORTED = 2000  # interruptions of a report, the longest; and planned work
MAX_QUESTIONS = 32  # that wait for the store's two readers; each may take seconds
MAX_BASEMAP = 1 << 20  # bytes of an operator's GeoJSON; phones read it
MAX_DESCRIPTION = (
    1 << 20
)  # bytes of what a file of streets says of itself; Protomaps' has some kilobytes
MAX_APART = 60  # marks that are pushed apart in the drawing; more would fill it
MAX_DRAWN_POINTS = 1500  # of a coast in the page itself: 5 kB compressed

# Who looks at the page.
MAX_ACCOUNTS, MAX_TOKENS = 1000, 200
MAX_PASSWORD = 200  # characters; a hash takes as long for all that are shorter
MAX_SESSIONS = 20  # of one user; the oldest ends
MAX_PAIRS = 20_000  # of a name and an address that are remembered, 300 bytes each
MAX_PROXIES = 50
MAX_FORM = 16 << 10  # bytes that a form sends
MAX_FIELDS = 50
MAX_AUDIT = 10_000  # rows that a command shows
MAX_ASKED_DESK = 2000  # questions that wait; 0.1 ms each
MAX_STREAMS = 500  # of live figures; above them a page asks again and again
MAX_STREAM_QUEUE = 8  # events that wait for one reader, four seconds of them
MAX_WAITING_TURNS = 4  # for a report or its PDF, half a minute each; a proxy gives up then
MAX_KEPT_PDFS = 16 << 20  # bytes of them; one of a month has 100 kB, of a large city 1 MB
MAX_HAPPENED = 300  # events on a page; more are for a shorter time, or `titik events`

# What people enter about alerts.
MAX_ACKS, MAX_REMARKS = 100, 200  # of one incident
MAX_OPEN_QUESTIONS = 50  # to routers, that are asked and not over
MAX_NOTE, MAX_REMARK = 300, 4000  # characters of a reason or a note, and of a remark
MAX_GROUP_NAME = 200  # characters of a provider or a district
MAX_SILENCES, MAX_SILENCE_DAYS = 500, 30  # what is longer is no silence but another rule
MAX_MAINTENANCE = 2000  # that are not over: one of each router of a large city
MAX_MAINTENANCE_DAYS = 31  # of one
MAX_MAINTENANCE_AHEAD_DAYS, MAX_MAINTENANCE_BEHIND_DAYS = 366, 62
MAX_WEEKLY_HOURS = 24
MAX_NUMBER = 2**63 - 1  # of an incident, that a store can hold
MAX_INCIDENTS = 200  # that a page lists, of those that go on and of those that are over
MAX_POSTED = 4 << 20  # bytes of what the collector reads of the desk; such a city has 1 MB

# What is delivered to people and programs.
MAX_LINES = 20  # places in one message; the rest are a number, because it is read on a phone
MAX_MESSAGES = 20  # an hour to one receiver; then one message says how many more there are
MAX_HEADLINE = 160  # characters of a subject
MAX_ANSWER = 64 << 10  # bytes of what a webhook answers
# Bytes of a PDF in an e-mail, which half a minute must do for, and of all that are posted. One of a
# thousand places has 1 MB.
MAX_ATTACHED, MAX_POSTED_REPORTS = 4 << 20, 32 << 20
MAX_DETAIL = 300  # characters of why a try failed
MAX_ADDRESSES = 4  # of one name, so that dead ones do not use up the time of a try
MAX_PENDING = 5000  # messages that wait for all receivers; 1 kB each
MAX_STANDING = 1000  # alerts that one request posts again; 1 kB each

# Packages for routers, which have 16 MB of flash.
MAX_PACKAGE = 32 << 20  # bytes
MAX_CONTROL = 64 << 10  # bytes that a package says of itself

MAX_DRILL_ROUTERS = 500  # each has a certificate of its own, and all are one process
