# A stand-in for OpenWrt's: UCI's files as the shell reads them, and what packages' scripts call.

reset_cb() {
	config_cb() { return 0; }
	option_cb() { return 0; }
	list_cb() { return 0; }
}
reset_cb

config() { # type, name
	_count=$((${_count:-0} + 1))
	_section=${2:-cfg$_count}
	config_cb "$1" "$_section"
}

option() {
	eval "CONFIG_${_section}_$1=\$2"
	option_cb "$1" "$2"
}

list() { # each item by itself, and all of them with blanks between
	local _name=CONFIG_${_section}_$1 _length
	eval "_length=\$((\${${_name}_LENGTH:-0} + 1))"
	eval "${_name}_LENGTH=$_length ${_name}_ITEM$_length=\$2 $_name=\"\${$_name:+\$$_name }\$2\""
	list_cb "$1" "$2"
}

config_load() { # package
	local _set
	for _set in $(set | sed -n 's/^\(CONFIG_[A-Za-z0-9_]*\)=.*/\1/p'); do
		unset "$_set"
	done
	_count=0 _section=
	sh -n "/etc/config/$1" 2>/dev/null || return 1
	. "/etc/config/$1"
	config_cb
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

config_list_foreach() { # section, option, function and its arguments
	local _length _item _at=1 _list=CONFIG_$1_$2 _call=$3
	shift 3
	eval "_length=\${${_list}_LENGTH:-0}"
	while [ "$_at" -le "$_length" ]; do
		eval "_item=\$${_list}_ITEM$_at"
		"$_call" "$_item" "$@"
		_at=$((_at + 1))
	done
}

# opkg's scripts say which package by their own path; apk's by `pkgname`.
_package() { echo "${pkgname:-$(basename "${1%.*}")}"; }
_listed() { # package, folder: its files there
	cat "/usr/lib/opkg/info/$1.list" "/lib/apk/packages/$1.list" 2>/dev/null | grep "^$2/"
}

add_group_and_user() { # package, or `pkgname`
	local names name group package=${1:-$pkgname}
	names=$(sed -n 's/^Require-User: //p' "/usr/lib/opkg/info/$package.control" 2>/dev/null)
	[ ! -e "/lib/apk/packages/$package.rusers" ] || names=$(cat "/lib/apk/packages/$package.rusers")
	name=${names%:*} group=${names#*:}
	if [ -n "$name" ] && ! grep -q "^$name:" /etc/passwd; then
		echo "$group:x:452:$name" >>/etc/group
		echo "$name:x:452:452:$name:/var/run/$name:/bin/false" >>/etc/passwd
	fi
}

# First settings, then opkg's package's own script, then services; apk appends its own to this.
default_postinst() {
	local package file
	package=$(_package "$1")
	[ ! -e "/usr/lib/opkg/info/$package.list" ] || add_group_and_user "$package"
	for file in $(_listed "$package" /etc/uci-defaults); do
		(cd /etc/uci-defaults && . "$file") && rm -f "$file"
	done
	uci commit
	if [ -e "/usr/lib/opkg/info/$package.postinst-pkg" ]; then
		(. "/usr/lib/opkg/info/$package.postinst-pkg")
	fi
	for file in $(_listed "$package" /etc/init.d); do
		[ "$PKG_UPGRADE" = 1 ] || "$file" enable
		"$file" start
	done
}

default_prerm() {
	local file
	for file in $(_listed "$(_package "$1")" /etc/init.d); do
		[ "$PKG_UPGRADE" = 1 ] || "$file" disable
		"$file" stop
	done
}
