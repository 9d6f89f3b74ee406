external elements : unit -> int = "elements"

let () = Printf.printf "%d\n" (elements ())
