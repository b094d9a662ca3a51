# zam, at log-in: what zamd-watch has found wrong. Silent when all is well, and for who has said `zamctl alerts --ack`.
# Starts no program. What it prints is another user's file: plain characters, a few lines.
case $- in
*i*)
    if [ -f /run/zam/watch/login/alarms ] && [ -s /run/zam/watch/login/alarms ]; then
        (
            LC_ALL=C
            before=0 lines=0 said=''
            date_file=${XDG_DATA_HOME:-${HOME:-}/.local/share}/zam/alerts-before
            [ ! -r "$date_file" ] || read -r before <"$date_file" || :
            case $before in '' | *[!0-9]* | ?????????????*) before=0 ;; esac
            while [ "$lines" -lt 12 ] && read -r since text; do
                lines=$((lines + 1))
                case $since in '' | *[!0-9]* | ?????????????*) continue ;; esac
                case $text in *[!\ -~]*) continue ;; esac
                [ "$since" -ge "$before" ] || continue
                [ -n "$said" ] || echo 'zam: something is wrong (`zamctl alerts`: what to do; `zamctl alerts --ack`: I know)'
                said=1
                printf '  %s\n' "$text"
            done </run/zam/watch/login/alarms >&2
        )
    fi
    ;;
esac
