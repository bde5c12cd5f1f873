"""The one file that makes a machine one of the city's routers, or an engineer's tools its readers.

Rule: it is a shell script with everything in it, for busybox too, and may be run again.
Rule: secrets are in the file alone, never in an argument or the environment.
"""

import shlex

from titik_wire import topics

_ROUTER = """\
#!/bin/sh
# {router}: run this once on the router, as root. It holds the router's key: delete it afterwards.
# TITIK_ROOT: another root directory, to make an image.
set -eu
umask 077
root=${{TITIK_ROOT:-}}
etc=$root/etc/titik
unit=/etc/systemd/system/titik-agent.service
mkdir -p "$etc"
chmod 755 "$etc"

put() {{ # name, mode; the content is on standard input
	cat >"$etc/.$1.new"
	chmod "$2" "$etc/.$1.new"
	if grep -q '^titik:' "$root/etc/passwd" 2>/dev/null; then
		chown "$(awk -F: '$1 == "titik" {{print $3 ":" $4}}' "$root/etc/passwd")" "$etc/.$1.new"
	fi
	mv "$etc/.$1.new" "$etc/$1"
}}

# agent.toml on standard input: with this name and this broker; all other lines of it stay.
settings() {{
	awk -v fresh="$1" -v keep="$2" '
	BEGIN {{
		print "router = \\"{router}\\""
		ours = "host|port|tls|ca_file|cert_file|key_file|password_file"
		broker = "host = \\"{host}\\"\\nport = {port}\\ntls = true\\n" \\
			"ca_file = \\"/etc/titik/ca.crt\\"\\n" \\
			"cert_file = \\"/etc/titik/router.crt\\"\\n" \\
			"key_file = \\"/etc/titik/router.key\\""
	}}
	/^[ \t]*\\[/ {{
		section = $0
		gsub(/[ \t]|#.*/, "", section)
	}}
	section == "" && $0 ~ "^[ \t]*(router|broker[.](" ours "))[ \t]*=" {{ next }}
	section == "[broker]" && $0 ~ "^[ \t]*(" ours ")[ \t]*=" {{ next }}
	section == "" && keep != "" && /^[ \t]*spool[ \t]*[.=]/ {{
		if (/^[ \t]*spool[ \t]*[.]/) print "spool." keep
		keep = ""
	}}
	{{ print; lines++ }}
	/^[ \t]*\\[/ && section == "[broker]" {{ print broker; done = 1 }}
	/^[ \t]*\\[/ && section == "[spool]" && keep != "" {{ print keep; keep = "" }}
	END {{
		if (!done) print "\\n[broker]\\n" broker
		if (!lines && fresh != "") print "\\n[spool]\\n" fresh
		else if (keep != "") print "\\n[spool]\\n" keep
	}}'
}}

put ca.crt 644 <<'END'
{ca}END
put router.crt 644 <<'END'
{certificate}END
put router.key 600 <<'END'
{key}END

if [ -z "$root" ] && command -v uci >/dev/null; then
	touch /etc/config/titik-agent
	uci -q batch <<'END'
set titik-agent.main=agent
set titik-agent.main.router='{router}'
set titik-agent.broker=broker
set titik-agent.broker.host='{host}'
set titik-agent.broker.port='{port}'
set titik-agent.broker.tls='1'
set titik-agent.broker.ca_file='/etc/titik/ca.crt'
set titik-agent.broker.cert_file='/etc/titik/router.crt'
set titik-agent.broker.key_file='/etc/titik/router.key'
commit titik-agent
END
elif [ -e "$root/etc/init.d/titik-agent" ]; then
	cat >"$root/etc/config/titik-agent" <<'END'
config agent 'main'
	option router '{router}'

config broker 'broker'
	option host '{host}'
	option port '{port}'
	option tls '1'
	option ca_file '/etc/titik/ca.crt'
	option cert_file '/etc/titik/router.crt'
	option key_file '/etc/titik/router.key'
END
else
	touch "$etc/agent.toml"
	folders= keep= # those of the service, if there is one
	if [ -e "$root$unit" ]; then
		keep='persist_dir = "/var/lib/titik-agent"' # also for certificates from a distance
		folders="directory = \\"/run/titik-agent\\"\\n$keep"
		if grep -Eq "^[^#]*(persist_dir|[\\"']spool[\\"'])" "$etc/agent.toml"; then
			keep=
		fi
	fi
	settings "$folders" "$keep" <"$etc/agent.toml" | put agent.toml 600
fi

if [ -z "$root" ]; then
	if [ -x /etc/init.d/titik-agent ]; then
		/etc/init.d/titik-agent enable
		if [ "$PWD" = /etc/uci-defaults ]; then # an image's first boot: there is no uplink yet
			exit 0
		fi
		/etc/init.d/titik-agent check || echo "it does not work yet: correct what FAIL names"
		echo "{router} is set up; see again whether it works: /etc/init.d/titik-agent check"
		exit 0
	fi
	if [ -e "$unit" ] && [ -d /run/systemd/system ]; then
		systemctl stop titik-agent # two agents with one name would put each other out
		install -d -o titik -g titik -m 700 /run/titik-agent
		runuser -u titik -- /opt/titik/bin/titik-agent check ||
			echo "it does not work yet: correct what FAIL names"
		systemctl enable --now titik-agent
		echo "{router} is set up; its service is titik-agent"
		exit 0
	fi
	if command -v titik-agent >/dev/null; then
		titik-agent check || echo "it does not work yet: correct what FAIL names"
	fi
	echo "{router} is set up; see whether it works: titik-agent check"
else
	echo "{router} is set up below $root, for a machine that starts from there"
fi
"""

_ENGINEER = """\
#!/bin/sh
# {name} reads the city: sh {name}.sh [options of mosquitto_sub]
# Without a topic among the options it listens to {watch}.
set -eu
umask 077
password={password}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT HUP INT TERM
cat >"$folder/ca.crt" <<'END'
{ca}END
# In a file, because arguments are for everybody to see.
cat >"$folder/mosquitto_sub" <<END
-h {host}
-p {port}
-u {name}
-P $password
--cafile $folder/ca.crt
END
topic=
for option; do
	case $option in -t | --topic) topic=given ;; esac
done
[ -n "$topic" ] || set -- -v -t '{watch}' "$@"
XDG_CONFIG_HOME=$folder mosquitto_sub "$@"
"""


def of_router(router: str, host: str, port: int, ca: str, certificate: str, key: str) -> str:
    """What is run on a router; `ca`, `certificate` and `key` are PEM."""
    return _ROUTER.format(
        router=router, host=host, port=port, ca=ca, certificate=certificate, key=key
    )


def of_engineer(name: str, host: str, port: int, ca: str, password: str) -> str:
    """What an engineer runs."""
    return _ENGINEER.format(
        name=name,
        host=host,
        port=port,
        ca=ca,
        password=shlex.quote(password),
        watch=topics.ALL_NOW,
    )
