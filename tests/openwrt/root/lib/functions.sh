# A stand-in for OpenWrt's: UCI's files as the shell reads them, and what packages' scripts call.

config() { # type, name
	_sections=$((${_sections:-0} + 1))
	_section=${2:-cfg$_sections}
}
option() { eval "CONFIG_${_section}_$1=\$2"; }
list() { eval "CONFIG_${_section}_$1=\"\${CONFIG_${_section}_$1:+\$CONFIG_${_section}_$1 }\$2\""; }

config_load() { # package
	. "/etc/config/$1"
}

config_get() { # variable, section, option, default
	eval "$1=\${CONFIG_$2_$3:-\$4}"
}

config_get_bool() {
	local _value
	config_get _value "$2" "$3" "$4"
	case $_value in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\$4" ;;
	esac
}

_package() { basename "${1%.*}"; }

default_postinst() { # script; the users, then the package's own script, then its services
	local info user group service
	info=/usr/lib/opkg/info/$(_package "$1")
	user=$(sed -n 's/^Require-User: \(.*\):.*/\1/p' "$info.control")
	group=$(sed -n 's/^Require-User: .*:\(.*\)/\1/p' "$info.control")
	if [ -n "$user" ] && ! grep -q "^$user:" /etc/passwd; then
		echo "$group:x:452:" >>/etc/group
		echo "$user:x:452:452:$user:/var/run/$user:/bin/false" >>/etc/passwd
	fi
	[ ! -e "$info.postinst-pkg" ] || (. "$info.postinst-pkg")
	for service in $(grep '^/etc/init.d/' "$info.list"); do
		"$service" enable
		"$service" start
	done
}

default_prerm() {
	local service
	for service in $(grep '^/etc/init.d/' "/usr/lib/opkg/info/$(_package "$1").list"); do
		[ "$PKG_UPGRADE" = 1 ] || "$service" disable
		"$service" stop
	done
}
